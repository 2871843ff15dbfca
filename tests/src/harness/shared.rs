//! The control plane that ordinary tests share.

use std::env;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::controlplane::{Cluster, ControlPlane, Options};

/// Set by `cargo xtask test` and `cargo xtask cluster -- …`; never the user's own KUBECONFIG, which may be production.
const KUBECONFIG: &str = "TOOLSET_TEST_KUBECONFIG";

/// Never dropped: when the test process ends, its watchdog ends the control plane.
static STARTED_HERE: OnceCell<ControlPlane> = OnceCell::const_new();

/// The shared control plane: the one that was handed over, else one that the first caller starts.
pub async fn cluster() -> Result<Cluster> {
    if let Some(path) = env::var_os(KUBECONFIG).filter(|path| !path.is_empty()) {
        return Ok(Cluster::new(path));
    }
    let plane = STARTED_HERE.get_or_try_init(|| ControlPlane::start(Options::default())).await?;
    Ok(plane.cluster().clone())
}
