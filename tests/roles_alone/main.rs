//! Roles that run alone, each with a real log: a witness, which is an acceptor and no more, and an
//! observer, which is a learner and no member. What their hosts owe is in the documentation of
//! `synod::roles`.

mod cluster;
mod full;
mod observer;
mod observing;
mod witness;
mod witnessing;
