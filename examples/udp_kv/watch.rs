//! What the server tells a person while it runs: who leads, and what it waits for.

use std::mem::discriminant;
use std::time::Duration;

use synod::Stalled;
use tokio::time::{Instant, interval};

use crate::replica::Replica;
use crate::tell;

/// How often the node is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How often it is told again what is waited for, while that stays the same.
const AGAIN: Duration = Duration::from_secs(10);

/// Looks at the node again and again; returns why it has stopped, when it has.
pub(crate) async fn watch(replica: Replica) -> String {
    let mut ticks = interval(LOOK);
    let (mut leader, mut told) = (None, None);
    loop {
        ticks.tick().await;
        let status = replica.status();
        if let Some(reason) = &status.stopped {
            return reason.to_string();
        }
        if status.replica.leader.is_some() && status.replica.leader != leader {
            leader = status.replica.leader;
            let who = status.leader().map(|leader| leader.to_string()).unwrap_or_default();
            let me = if status.leads() { ", this one" } else { "" };
            tell(&format!("replica {who} leads{me}"));
        }
        match (replica.stalled(), &told) {
            (Some(stalled), before) => {
                if is_news(&stalled, before.as_ref()) {
                    tell(&format!(
                        "no progress for {:.1} s: {stalled}",
                        stalled.since.as_secs_f64()
                    ));
                    told = Some((Instant::now(), stalled));
                }
            }
            (None, Some(_)) => {
                tell("goes on");
                told = None;
            }
            (None, None) => {}
        }
    }
}

/// Whether it is worth telling: another cause than before, or the same for a long time.
fn is_news(stalled: &Stalled, before: Option<&(Instant, Stalled)>) -> bool {
    before.is_none_or(|(at, before)| {
        discriminant(&stalled.cause) != discriminant(&before.cause) || at.elapsed() >= AGAIN
    })
}
