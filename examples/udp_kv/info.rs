//! The text of INFO.

use std::fmt::Write;

use bytes::Bytes;

use crate::server::Shared;

/// What the replica tells about itself, in lines of a name and a value: all sections, or those that
/// are asked for.
pub(crate) fn text(shared: &Shared, asked: &[Bytes]) -> String {
    let is_asked = |title: &str| {
        let named = |asked: &Bytes| {
            let all = ["all", "default", "everything"];
            all.into_iter().chain([title]).any(|name| asked.eq_ignore_ascii_case(name.as_bytes()))
        };
        asked.is_empty() || asked.iter().any(named)
    };
    let status = shared.replica.status();
    let replica = &status.replica;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut text = String::new();
    let mut section = |title: &str, lines: &[(String, String)]| {
        if !is_asked(title) {
            return;
        }
        let separator = if text.is_empty() { "" } else { "\r\n" };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}# {title}\r\n");
        for (name, value) in lines {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    };
    let line = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
    section(
        "Server",
        &[
            line("server_name", &"udp_kv"),
            line("server_version", &env!("CARGO_PKG_VERSION")),
            line("process_id", &std::process::id()),
        ],
    );
    section(
        "Clients",
        &[
            line("connected_clients", &shared.connected()),
            line("maxclients", &shared.connections_max),
        ],
    );
    let mut lines = vec![
        line("replica", &replica.me.replica()),
        line("role", &format!("{:?}", replica.role).to_lowercase()),
        line("ballot", &replica.promised),
        line("leader", &or_none(status.leader().map(|leader| leader.to_string()))),
        line("chosen", &replica.chosen.0),
        line("applied", &replica.applied.0),
        line("pending", &status.pending),
        line("log_bytes", &status.log.bytes),
    ];
    lines.extend(status.lag.iter().map(|lag| line(&format!("lag_{}", lag.replica), &lag.slots)));
    lines.push(line(
        "stalled",
        &or_none(shared.replica.stalled().map(|stalled| stalled.to_string())),
    ));
    section("Synod", &lines);
    text
}
