//! One client's connection.
//!
//! What has come is taken in batches. Within a batch, changes that follow one another are proposed
//! at once and are in flight together: the node keeps their order. Questions that follow one
//! another are asked at once, when the changes before them are answered. Replies leave in the order
//! of the requests, and nothing more is read before they have left: whoever reads no replies is not
//! read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use synod::{Applied, Ticket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};

use crate::budget::{Held, REST_MAX, Spent};
use crate::commands::{self, Step, Write};
use crate::info;
use crate::parse::{ARGUMENT_BYTES_MAX, Parser, ProtocolError, READ_BYTES, Request, make_room};
use crate::replica::{failed_write, late};
use crate::reply::{LINE_END, Reply, put_first};
use crate::server::Shared;
use crate::store::Question;

/// How many requests a batch may have.
const BATCH_REQUESTS: usize = 512;

/// How much one connection may have in flight, in the measure of [`weight`]. One change more is
/// always allowed.
const RUN_WEIGHT: usize = 4 << 20;

/// How many bytes the answers to questions asked together may hold; the rest is asked when these
/// have left.
const ANSWER_BYTES: usize = 4 << 20;

/// From here on replies are sent while others are still made.
const OUTPUT_BYTES: usize = 32 << 10;

/// How long a buffer for replies may be that a connection keeps while it rests.
const RESTING_BYTES: usize = 64;

/// What a change costs while it is in flight, beside its bytes.
const CHANGE_COST: usize = 1024;

thread_local! {
    /// Where connections that rest read to.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// It was asked for, or the client has gone.
    Closed,
    /// There is no memory for what it wants to hold.
    Spent,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl From<Spent> for End {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

/// A reply that is known, or what it will be made of.
enum Slot {
    Reply(Reply),
    Ticket(Ticket<Applied<Reply>>),
    /// The next of the run's questions.
    Question,
}

/// Requests whose replies are waited for together: changes, or questions, never both.
#[derive(Default)]
struct Run {
    slots: Vec<Slot>,
    questions: Vec<Question>,
    /// What the changes in flight weigh.
    weight: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// What a change weighs while it is in flight.
fn weight(write: &Write) -> usize {
    let answer = if write.answers_value { ARGUMENT_BYTES_MAX } else { 0 };
    write.command.len() + CHANGE_COST + answer
}

pub(crate) struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    parser: Parser,
    input: BytesMut,
    output: BytesMut,
    held: Held,
    run: Run,
    /// When what is waited for is answered TRYAGAIN or TIMEOUT.
    deadline: Instant,
    /// Rings at the deadline, or at an earlier one that was never missed. So it is set once in a
    /// while, not for each wait.
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            parser: Parser::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            held: shared.budget.hold(),
            run: Run::default(),
            deadline: Instant::now(),
            alarm: Box::pin(sleep_until(Instant::now())),
            shared,
        }
    }

    /// Serves the client until one of the two closes the connection.
    pub(crate) async fn serve(mut self) {
        let mut end = Ok(());
        while end.is_ok() {
            end = self.serve_batch().await;
        }
        if matches!(end, Err(End::Spent)) {
            let text = "ERR too much memory is held for clients, try again later";
            put_first(Reply::error(text), &mut Vec::new(), &mut self.output);
            // What does not leave at once is not worth waiting for.
            let _ = self.stream.try_write(&self.output);
        }
    }

    /// Answers what has come, or reads more.
    async fn serve_batch(&mut self) -> Result<(), End> {
        let (mut taken, mut broken) = (0, None);
        while taken < BATCH_REQUESTS && broken.is_none() {
            let Some(parsed) = self.parser.next(&mut self.input).transpose() else { break };
            if taken == 0 {
                self.renew_deadline();
            }
            taken += 1;
            match parsed {
                Ok(request) => self.take(request).await?,
                Err(error) => broken = Some(error),
            }
        }
        if taken == 0 {
            return self.read().await;
        }
        self.settle().await?;
        if let Some(ProtocolError(text)) = broken {
            self.put(Reply::error_of(format!("ERR Protocol error: {text}"))).await?;
            self.send().await?;
            return Err(End::Closed);
        }
        self.send().await
    }

    async fn take(&mut self, request: Request) -> Result<(), End> {
        let step = match request {
            Request::Command(arguments) => commands::step(arguments),
            Request::TooLarge(text) => Step::Reply(Reply::error_of(format!("ERR {text}"))),
        };
        match step {
            Step::Reply(reply) => self.run.slots.push(Slot::Reply(reply)),
            Step::Write(write) => self.propose(&write).await?,
            Step::Read(question) => {
                if self.run.weight > 0 {
                    self.settle().await?;
                }
                self.run.questions.push(question);
                self.run.slots.push(Slot::Question);
            }
            Step::Info(sections) => {
                self.settle().await?;
                let text = info::text(&self.shared, &sections);
                self.run.slots.push(Slot::Reply(Reply::Bulk(text.into())));
            }
            Step::Quit => {
                self.run.slots.push(Slot::Reply(Reply::OK));
                self.settle().await?;
                self.send().await?;
                return Err(End::Closed);
            }
            Step::Close => return Err(End::Closed),
        }
        Ok(())
    }

    async fn propose(&mut self, write: &Write) -> Result<(), End> {
        let weight = weight(write);
        if !self.run.questions.is_empty() || self.run.weight + weight > RUN_WEIGHT {
            self.settle().await?;
        }
        if self.is_late() {
            let reply = Reply::try_again("earlier commands of the connection took too long");
            self.run.slots.push(Slot::Reply(reply));
            return Ok(());
        }
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.shared.in_flight);
        let permit = match Arc::clone(&room).try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(_) => {
                // Whoever waits for room must hold none, or all might wait for one another.
                self.settle().await?;
                let waited = timeout_at(self.deadline, room.acquire_many_owned(permits)).await;
                let Ok(Ok(permit)) = waited else {
                    let reply = Reply::try_again("too many commands are in flight");
                    self.run.slots.push(Slot::Reply(reply));
                    return Ok(());
                };
                permit
            }
        };
        match &mut self.run.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        self.run.weight += weight;
        self.run.slots.push(Slot::Ticket(self.shared.replica.propose(&write.command)));
        Ok(())
    }

    /// What follows gets the whole time again.
    fn renew_deadline(&mut self) {
        // A reply needs some time for its way.
        let client_timeout = self.shared.client_timeout;
        self.deadline = Instant::now() + client_timeout - client_timeout / 20;
    }

    /// Whether too little time is left to begin anything: commands before have used it up.
    fn is_late(&self) -> bool {
        Instant::now() + self.shared.client_timeout / 2 > self.deadline
    }

    /// Waits for everything of the run, and makes the replies.
    async fn settle(&mut self) -> Result<(), End> {
        let Run { mut slots, mut questions, weight, permit } = std::mem::take(&mut self.run);
        if weight > 0 || !questions.is_empty() {
            // What is known already need not wait.
            self.send().await?;
        }
        let mut in_time = true;
        if weight > 0 {
            // Whoever waits lets the node go on with what was proposed so far: other connections
            // that have something to propose do so first, and one turn serves all of them.
            tokio::task::yield_now().await;
            for slot in &mut slots {
                if let Slot::Ticket(ticket) = slot {
                    let reply = self.wait(ticket, &mut in_time).await;
                    *slot = Slot::Reply(reply);
                }
            }
            // What is in flight must not depend on how fast this client reads.
            drop(permit);
            let held =
                |slot: &Slot| if let Slot::Reply(reply) = slot { reply.held_bytes() } else { 0 };
            self.hold(slots.iter().map(held).sum()).await?;
        }
        let mut answers = VecDeque::new();
        for slot in slots {
            let reply = match slot {
                Slot::Reply(reply) => reply,
                Slot::Ticket(mut ticket) => self.wait(&mut ticket, &mut in_time).await,
                Slot::Question => {
                    if answers.is_empty() {
                        // Those before have left, or hold little.
                        answers = self.ask(&mut questions, &mut in_time).await;
                        self.hold(answers.iter().map(Reply::held_bytes).sum()).await?;
                    }
                    answers.pop_front().unwrap_or(Reply::Nil)
                }
            };
            self.put(reply).await?;
        }
        if in_time {
            self.renew_deadline();
        }
        Ok(())
    }

    /// What the future gives, or nothing if the deadline comes first.
    async fn before_deadline<F: Future + Unpin>(&mut self, mut future: F) -> Option<F::Output> {
        let (alarm, deadline) = (&mut self.alarm, self.deadline);
        poll_fn(|context| {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
                return Poll::Ready(Some(output));
            }
            while alarm.as_mut().poll(context).is_ready() {
                if Instant::now() >= deadline {
                    return Poll::Ready(None);
                }
                alarm.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }

    async fn wait(&mut self, ticket: &mut Ticket<Applied<Reply>>, in_time: &mut bool) -> Reply {
        match self.before_deadline(ticket).await {
            Some(Ok(applied)) => applied.answer,
            Some(Err(error)) => {
                *in_time = false;
                failed_write(&error)
            }
            None => {
                *in_time = false;
                Reply::timeout(&late(self.shared.client_timeout))
            }
        }
    }

    /// Asks the questions; returns the answers to those that it takes out, at least one.
    async fn ask(&mut self, questions: &mut Vec<Question>, in_time: &mut bool) -> VecDeque<Reply> {
        let asked = std::mem::take(questions);
        let count = asked.len();
        let refused = |why: &str| (0..count).map(|_| Reply::try_again(why)).collect();
        if self.is_late() {
            return refused("earlier commands of the connection took too long");
        }
        let read = self.shared.replica.read(move |store| {
            let answers = store.answer(&asked, ANSWER_BYTES);
            (asked, answers)
        });
        match self.before_deadline(read).await {
            Some(Ok((asked, answers))) => {
                questions.extend(asked.into_iter().skip(answers.len()));
                answers.into()
            }
            Some(Err(error)) => {
                *in_time = false;
                refused(&error.to_string())
            }
            None => {
                *in_time = false;
                refused(&late(self.shared.client_timeout))
            }
        }
    }

    /// Accounts for replies of this many bytes, beside what has come in.
    async fn hold(&mut self, bytes: usize) -> Result<(), End> {
        let input = self.input.capacity() + self.parser.held_bytes();
        Ok(self.held.set(bytes + input).await?)
    }

    /// Makes the bytes of a reply, and sends them when they are many.
    async fn put(&mut self, reply: Reply) -> Result<(), End> {
        let (mut next, mut left) = (Some(reply), Vec::new());
        while let Some(reply) = next {
            if let Some(value) = put_first(reply, &mut left, &mut self.output) {
                self.send().await?;
                self.send_all(&value).await?;
                self.output.extend_from_slice(LINE_END);
            }
            if self.output.len() >= OUTPUT_BYTES {
                self.send().await?;
            }
            next = left.pop();
        }
        Ok(())
    }

    /// Sends the replies that are made.
    async fn send(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        self.send_all(&output).await?;
        output.clear();
        self.output = output;
        Ok(())
    }

    async fn send_all(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let write = self.stream.write(bytes);
            let written = if self.held.any() {
                timeout(REST_MAX, write).await.map_err(|_| End::Closed)??
            } else {
                write.await?
            };
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads more. A connection that rests has no buffers, but for a short reply.
    async fn read(&mut self) -> Result<(), End> {
        self.parser.rest(&mut self.input);
        if self.output.capacity() > RESTING_BYTES {
            self.output = BytesMut::new();
        }
        self.hold(0).await?;
        let read = if self.held.any() {
            timeout(REST_MAX, self.receive()).await.map_err(|_| End::Closed)?
        } else {
            self.receive().await
        };
        if read? == 0 { Err(End::Closed) } else { Ok(()) }
    }

    /// Waits for bytes and puts them behind the input; returns how many came, 0 at the end.
    async fn receive(&mut self) -> io::Result<usize> {
        let Self { stream, input, .. } = self;
        let rests = input.capacity() == 0;
        // Reading this way, and not when the stream is said to be readable, spares a system call
        // that finds nothing: what did not fill the buffer was all.
        poll_fn(|context| {
            SCRATCH.with_borrow_mut(|scratch| {
                if rests {
                    // Most requests are short: they get memory of their own length.
                    let mut buffer = ReadBuf::new(scratch);
                    ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
                    input.extend_from_slice(buffer.filled());
                    return Poll::Ready(Ok(buffer.filled().len()));
                }
                make_room(input);
                let before = input.len();
                ready!(pin!(stream.read_buf(input)).poll(context))?;
                Poll::Ready(Ok(input.len() - before))
            })
        })
        .await
    }
}
