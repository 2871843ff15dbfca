use crd_types::ServiceReason;
use detectors::{ServiceView, probe::Class};

use super::*;
use crate::{
    SliceView,
    fixtures::{annotated, config, grafana, index, service, slice, trusting_monitoring},
    pipeline,
    select::{Context, select},
};

const DOMAIN: &str = "cluster.local";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A stage, an index with one Grafana, and what the output holds.
struct Scene {
    stage: HealthStage,
    index: Index,
    spec: crd_types::Health,
    output: BTreeSet<ServiceKey>,
    frozen: bool,
    probed: Probed,
}

fn judged(health: Health, withheld: Option<Withheld>) -> ToolHealth {
    ToolHealth { health, withheld, probe: None }
}

impl Scene {
    fn new() -> Self {
        let index = index([grafana("monitoring", "grafana")]);
        Self {
            stage: HealthStage::default(),
            index,
            spec: crd_types::Health::default(),
            output: BTreeSet::new(),
            frozen: false,
            probed: Probed::PENDING,
        }
    }

    /// A ready Service that is probed.
    fn probing() -> Self {
        let mut scene = Self::new();
        scene.spec.mode = HealthMode::Probe;
        scene.ready(true);
        scene
    }

    /// Its health, whether it is withheld, and the reason that its owner sees.
    fn shown(&mut self, probed: Probed) -> (Health, Option<Withheld>, Option<ServiceReason>) {
        self.probed = probed;
        let ToolHealth { health, withheld, probe } = self.judge(at(0)).0;
        (health, withheld, probe.map(|remark| remark.reason))
    }

    fn ready(&mut self, serving: bool) {
        self.index.apply_slice(slice(&grafana("monitoring", "grafana"), serving));
    }

    fn judge(&mut self, now: Duration) -> (ToolHealth, Option<Duration>) {
        let config = trusting_monitoring();
        let selection = select(&Context { config: &config, cluster_domain: DOMAIN }, &self.index, None, None);
        let time = |_: &str| HealthTime { now, frozen: self.frozen };
        let probed = |_: &ServiceKey| self.probed.clone();
        let (known, in_output) = ((&selection, &self.index), || self.output.clone());
        let report = self.stage.judge(&time, &self.spec, known, &in_output, Some(&probed));
        (report.of(&key()), report.recheck_in)
    }
}

fn key() -> ServiceKey {
    ServiceKey::new("monitoring", "grafana")
}

#[test]
fn a_tool_enters_only_when_it_is_healthy() {
    let mut scene = Scene::new();
    assert_eq!(scene.judge(at(0)).0, judged(Health::Unhealthy, Some(Withheld::Unhealthy)));
    scene.ready(true);
    assert_eq!(scene.judge(at(1)).0, judged(Health::Healthy, None));
}

#[test]
fn a_tool_in_the_output_leaves_after_its_grace_and_not_before() {
    let mut scene = Scene::new();
    scene.output.insert(key());
    assert_eq!(scene.judge(at(10)), (judged(Health::Unhealthy, None), Some(at(120))));
    assert!(scene.judge(at(129)).0.withheld.is_none());
    assert!(scene.judge(at(130)).0.withheld.is_some());
    assert!(scene.judge(at(131)).0.withheld.is_some(), "also while the output could not be written yet");
}

#[test]
fn recovery_in_between_starts_the_grace_anew() {
    let mut scene = Scene::new();
    scene.output.insert(key());
    scene.judge(at(0));
    scene.ready(true);
    assert_eq!(scene.judge(at(100)).1, None);
    scene.ready(false);
    assert_eq!(scene.judge(at(110)).1, Some(at(120)));
}

#[test]
fn while_the_clock_stands_still_there_is_nothing_to_wait_for() {
    let mut scene = Scene::new();
    scene.output.insert(key());
    scene.frozen = true;
    assert_eq!(scene.judge(at(10)), (judged(Health::Unhealthy, None), None));
    scene.frozen = false;
    assert_eq!(scene.judge(at(15)).1, Some(at(115)));
}

#[test]
fn a_tenant_does_not_enter_while_the_clock_stands_still() {
    let mut scene = TenantScene::new("None");
    scene.slice(slice(&backend(), true));
    scene.frozen = true;
    assert_eq!(scene.at(0), (AWAITS, None));
    scene.frozen = false;
    assert_eq!(scene.at(0), (AWAITS, Some(at(5))));
}

#[test]
fn a_restart_takes_nothing_out_early() {
    let mut scene = Scene::new();
    scene.output.insert(key());
    scene.judge(at(0));
    scene.stage = HealthStage::default();
    assert!(scene.judge(at(119)).0.withheld.is_none());
    assert!(scene.judge(at(239)).0.withheld.is_some());
}

#[test]
fn with_effect_report_and_with_mode_none_nothing_is_withheld() {
    let mut scene = Scene::new();
    scene.spec.effect = HealthEffect::Report;
    assert_eq!(scene.judge(at(0)).0, judged(Health::Unhealthy, None));
    scene.spec.mode = HealthMode::None;
    assert_eq!(scene.judge(at(0)).0, judged(Health::Unknown, None));
}

#[test]
fn the_output_is_read_from_the_endpoints_in_it() {
    let yaml =
        "prometheus_url: http://grafana.monitoring.svc.cluster.local:80/x\nurl: \"https://a.b.svc.cluster.local:443\"";
    let other = "http://grafana.com http://x.y.svc.other.domain:80 http://.svc.cluster.local";
    let found = in_output([yaml, other], DOMAIN);
    assert_eq!(found, BTreeSet::from([key(), ServiceKey::new("b", "a")]));
}

/// A Tenant's Service with a uid, and what is known of it from one moment to the next.
struct TenantScene {
    stage: HealthStage,
    index: Index,
    spec: serde_json::Value,
    output: BTreeSet<ServiceKey>,
    frozen: bool,
}

const UID: u64 = 7;

fn backend() -> ServiceView {
    let view = annotated(
        service("team", "backend", &[("http", 80)]),
        &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")],
    );
    ServiceView { uid: UID, ..view }
}

impl TenantScene {
    fn new(mode: &str) -> Self {
        let spec = serde_json::json!({
            "sources": [{"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}}],
            "health": {"mode": mode},
        });
        Self { stage: HealthStage::default(), index: index([backend()]), spec, output: BTreeSet::new(), frozen: false }
    }

    fn slice(&mut self, slice: SliceView) {
        self.index.apply_slice(slice);
    }

    /// Why the Service is no tool at that second, and at which second to judge again.
    fn at(&mut self, seconds: u64) -> (Option<ServiceReason>, Option<Duration>) {
        let outcome = pipeline::run(pipeline::Input {
            config: &config(self.spec.clone()),
            cluster_domain: DOMAIN,
            index: &self.index,
            admits: None,
            remembered: None,
            health: pipeline::HealthInput::Observed {
                stage: &mut self.stage,
                time: &|_| HealthTime { now: at(seconds), frozen: self.frozen },
                in_output: &|| self.output.clone(),
                probed: None,
            },
            legacy_overrides: None,
            base: None,
            previous: None,
        });
        (
            outcome.plan.rejected.first().map(|rejection| rejection.reason),
            outcome.recheck_in.map(|left| at(seconds) + left),
        )
    }

    fn in_output(mut self) -> Self {
        self.output.insert(backend().key);
        self
    }
}

const AWAITS: Option<ServiceReason> = Some(ServiceReason::AwaitingEndpointSlices);
const REFUSED: Option<ServiceReason> = Some(ServiceReason::EndpointNotAllowed);

#[test]
fn a_tenant_without_slices_of_its_present_service_waits_whatever_the_mode() {
    for mode in ["None", "Endpoints"] {
        let mut scene = TenantScene::new(mode);
        assert_eq!(scene.at(0), (AWAITS, None), "{mode}");
        scene.slice(SliceView { owner: UID + 1, ..slice(&backend(), true) });
        assert_eq!(scene.at(100), (AWAITS, None), "{mode}: slices of an earlier Service of that name");
        scene.slice(slice(&backend(), true));
        assert_eq!(scene.at(200), (AWAITS, Some(at(205))), "{mode}");
        assert_eq!(scene.at(204), (AWAITS, Some(at(205))), "{mode}");
        assert_eq!(scene.at(205), (None, None), "{mode}");
    }
}

#[test]
fn a_tenant_in_the_output_stays_through_changes_of_its_own_slices_only() {
    for mode in ["None", "Endpoints"] {
        let mut scene = TenantScene::new(mode).in_output();
        scene.slice(slice(&backend(), true));
        assert_eq!(scene.at(0), (None, None), "{mode}: it was in before a restart");
        scene.slice(SliceView { revision: 2, ..slice(&backend(), true) });
        scene.slice(SliceView { name: "second".into(), ..slice(&backend(), true) });
        assert_eq!(scene.at(1), (None, None), "{mode}: a roll-out");
        for wrong in [
            SliceView { managed: false, ..slice(&backend(), true) },
            SliceView { elsewhere: true, ..slice(&backend(), true) },
            SliceView { owner: 0, ..slice(&backend(), true) },
            SliceView { owner: UID + 1, ..slice(&backend(), true) },
        ] {
            scene.slice(SliceView { name: "second".into(), ..wrong.clone() });
            assert_eq!(scene.at(2).0, REFUSED, "{mode}: {wrong:?}");
        }
        scene.index.delete_slice("team", "second");
        assert_eq!(scene.at(3), (None, None), "{mode}: it is still in the output");
        scene.index.delete_slice("team", &slice(&backend(), true).name);
        assert_eq!(scene.at(4).0, AWAITS, "{mode}");
    }
}

#[test]
fn every_change_of_the_slices_starts_the_wait_anew_also_one_that_is_undone() {
    let mut scene = TenantScene::new("None");
    scene.slice(slice(&backend(), true));
    assert_eq!(scene.at(0), (AWAITS, Some(at(5))));
    scene.slice(SliceView { revision: 2, ..slice(&backend(), true) });
    scene.slice(slice(&backend(), true));
    assert_eq!(scene.at(5), (AWAITS, Some(at(10))));
    assert_eq!(scene.at(10), (None, None));
}

#[test]
fn a_tenant_on_its_way_into_the_output_is_not_held_up_again() {
    let mut scene = TenantScene::new("None");
    scene.slice(slice(&backend(), true));
    scene.at(0);
    assert_eq!(scene.at(5), (None, None));
    scene.slice(SliceView { revision: 2, ..slice(&backend(), true) });
    assert_eq!(scene.at(6), (None, None), "in Preview, or while the write is delayed");
}

#[test]
fn a_tenant_that_left_the_output_waits_again_for_slices_that_changed() {
    let mut scene = TenantScene::new("Endpoints");
    scene.slice(slice(&backend(), true));
    scene.at(0);
    assert_eq!(scene.at(5).0, None);
    scene.slice(SliceView { revision: 2, ..slice(&backend(), false) });
    assert_eq!(scene.at(6), (Some(ServiceReason::Unhealthy), None));
    scene.slice(SliceView { revision: 3, ..slice(&backend(), true) });
    assert_eq!(scene.at(7), (AWAITS, Some(at(12))));
    assert_eq!(scene.at(12).0, None);
}

#[test]
fn a_tenant_that_somebody_vouches_for_needs_no_slices() {
    let mut scene = TenantScene::new("None");
    scene.spec["sources"][0]["allow"] =
        serde_json::json!([{"namespace": "team", "name": "backend", "kind": "ManualSlices"}]);
    assert_eq!(scene.at(0), (None, None));
    scene.slice(SliceView { managed: false, ..slice(&backend(), true) });
    assert_eq!(scene.at(0), (None, None));
}

#[test]
fn trusted_services_do_not_wait_and_only_unmanaged_slices_are_refused() {
    let mut scene = TenantScene::new("None");
    scene.spec["sources"][0]["trust"] = "Trusted".into();
    assert_eq!(scene.at(0), (None, None));
    scene.slice(SliceView { elsewhere: true, owner: UID + 1, ..slice(&backend(), true) });
    assert_eq!(scene.at(0), (None, None));
    scene.slice(SliceView { managed: false, ..slice(&backend(), true) });
    assert_eq!(scene.at(0), (REFUSED, None));
}

#[test]
fn what_has_no_uid_as_in_a_file_does_not_wait() {
    let mut scene = TenantScene::new("None");
    scene.index.apply_service(ServiceView { uid: 0, ..backend() });
    assert_eq!(scene.at(0), (None, None));
    scene.slice(SliceView { owner: 0, elsewhere: true, ..slice(&backend(), true) });
    assert_eq!(scene.at(0), (None, None));
    scene.slice(SliceView { managed: false, ..slice(&backend(), true) });
    assert_eq!(scene.at(0), (REFUSED, None));
}

#[test]
fn a_single_plan_does_not_wait_for_slices_to_settle_and_an_offline_one_for_none() {
    let mut scene = TenantScene::new("None");
    scene.stage = HealthStage::without_waiting();
    scene.slice(slice(&backend(), true));
    assert_eq!(scene.at(0), (None, None));
    let config = config(scene.spec.clone());
    let (plan, _) = crate::fixtures::rendered(&config, &index([backend()]));
    assert_eq!(plan.tools.len(), 1);
}

fn failure(is_unreachable: bool) -> ProbeFailure {
    let class = if is_unreachable { Class::Unreachable } else { Class::Answered(503) };
    ProbeFailure { asked: "GET /api/health on port 80 (http)".to_owned(), why: ProbeFailureReason::Answer(class) }
}

#[test]
fn a_new_tool_enters_only_when_its_probes_succeed() {
    let mut scene = Scene::probing();
    let waits = (Health::Unknown, Some(Withheld::Unprobed), Some(ServiceReason::Unhealthy));
    assert_eq!(scene.shown(Probed::PENDING), waits);
    assert_eq!(scene.shown(Probed::Undecided { failure: Some(failure(false)) }), waits);
    assert_eq!(scene.shown(Probed::Up), (Health::Healthy, None, None));
}

#[test]
fn a_tool_in_the_output_stays_until_its_probes_have_failed_often_enough_and_its_grace_is_over() {
    let mut scene = Scene::probing();
    scene.output.insert(key());
    for undecided in [Probed::PENDING, Probed::Undecided { failure: Some(failure(false)) }] {
        assert_eq!(scene.shown(undecided), (Health::Unknown, None, None));
    }
    let down = (Health::Unhealthy, None, Some(ServiceReason::Unhealthy));
    assert_eq!(scene.shown(Probed::Down(failure(false))), down);
    assert!(scene.judge(at(119)).0.withheld.is_none());
    assert_eq!(scene.judge(at(120)).0.withheld, Some(Withheld::Unhealthy));
}

#[test]
fn a_tool_that_cannot_be_reached_leaves_only_if_others_can() {
    let mut scene = Scene::probing();
    scene.output.insert(key());
    let suspect = (Health::Unknown, None, Some(ServiceReason::ProbeSuspect));
    assert_eq!(scene.shown(Probed::Suspect(failure(true))), suspect);
    assert_eq!(scene.judge(at(4000)).1, None, "it stays as long as that lasts");
    let down = (Health::Unhealthy, None, Some(ServiceReason::Unreachable));
    assert_eq!(scene.shown(Probed::Down(failure(true))), down);
    scene.output.clear();
    let out = (Health::Unknown, Some(Withheld::Unprobed), Some(ServiceReason::ProbeSuspect));
    assert_eq!(scene.shown(Probed::Suspect(failure(true))), out, "nothing enters meanwhile");
}

#[test]
fn readiness_counts_before_probes_and_alone_if_they_are_not_allowed() {
    let mut scene = Scene::probing();
    let not_allowed = Probed::NotAllowed { why: "it is not".into() };
    assert_eq!(scene.shown(not_allowed.clone()), (Health::Healthy, None, Some(ServiceReason::ProbeNotAllowed)));
    scene.ready(false);
    for probed in [not_allowed, Probed::Up] {
        assert_eq!(scene.shown(probed), (Health::Unhealthy, Some(Withheld::Unhealthy), None));
    }
}

#[test]
fn with_effect_report_a_tool_that_is_not_probed_yet_is_not_withheld() {
    let mut scene = Scene::probing();
    scene.spec.effect = HealthEffect::Report;
    assert_eq!(scene.shown(Probed::PENDING), (Health::Unknown, None, None));
    assert_eq!(scene.shown(Probed::Down(failure(false))).1, None);
}
