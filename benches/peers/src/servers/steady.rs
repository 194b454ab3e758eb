//! How many elections there are while nothing is wrong.

use std::time::Duration;

use tokio::time::sleep;

use super::cluster::Cluster;
use super::load::{self, Figures, Load};

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) elections_idle: u64,
    pub(crate) elections_loaded: u64,
    pub(crate) loaded: Figures,
}

/// Counts elections, for `load.time` without any request, then as long under the load.
///
/// # Errors
///
/// A request failed, or a key has not what was written.
pub(crate) async fn watch(cluster: &mut Cluster, load: Load) -> Result<Seen, String> {
    let (_, first) = cluster.wait_for_leader().await?;
    sleep(load.time).await;
    let (_, idle) = cluster.wait_for_leader().await?;
    let loaded = load::run(cluster, Load { warm_up: Duration::ZERO, ..load }).await?;
    let (_, last) = cluster.wait_for_leader().await?;
    Ok(Seen { elections_idle: idle - first, elections_loaded: last - idle, loaded })
}
