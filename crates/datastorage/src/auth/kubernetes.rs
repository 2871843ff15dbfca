//! Reviews by the API server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use ring::{hmac, rand::SystemRandom};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

pub(super) use super::answers::Unavailable;
use super::{
    answers::{Answer, Answers},
    expiry,
    identity::{User, Verb},
};

/// The group of the virtual resource.
const GROUP: &str = "datastorage.kubernaut.io";
/// The virtual resource.
const RESOURCE: &str = "auditrecords";

/// The maximum number of concurrent reviews.
const REVIEWS: usize = 32;
/// The pause between attempts while the API server is unavailable.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many bytes of users are kept.
const USER_BYTES: u64 = 4 * 1024 * 1024;
/// How many bytes of rights are kept.
const RIGHT_BYTES: u64 = 2 * 1024 * 1024;
/// What an entry of a cache costs besides its contents, roughly.
const ENTRY_BYTES: usize = 256;

/// How long things take and last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How long an answer is given without asking again.
    pub fresh: Duration,
    /// How long a positive answer is valid while the API server is unavailable.
    pub old: Duration,
    /// The timeout of one review.
    pub review: Duration,
    /// How long the API server is not asked after it did not answer.
    pub pause: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(10),
            old: Duration::from_secs(5 * 60),
            review: Duration::from_secs(3),
            pause: RETRY_AFTER,
        }
    }
}

/// A token and what it is remembered by.
pub(super) struct Token<'a> {
    text: &'a str,
    digest: [u8; 32],
}

/// What somebody wants to do: the token, the verb, the namespace.
type Right = ([u8; 32], Verb, Option<Box<str>>);

/// Reviews tokens and permissions with the API server.
pub(super) struct Kubernetes {
    client: Client,
    audience: String,
    times: Times,
    /// Made at the start and never stored, so that nothing about a token can be learned from what the caches hold.
    key: hmac::Key,
    users: Answers<[u8; 32], Arc<User>>,
    rights: Answers<Right, ()>,
    slots: Semaphore,
    /// Until when the API server is not asked.
    away_until: Mutex<Option<Instant>>,
}

impl Kubernetes {
    pub(super) fn new(client: Client, audience: &str, times: Times) -> anyhow::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_unspecified| anyhow!("cannot get random numbers from the operating system"))?;
        Ok(Self {
            client,
            audience: audience.to_owned(),
            times,
            key,
            users: Answers::new(times.fresh, times.old, USER_BYTES, user_bytes),
            rights: Answers::new(times.fresh, times.old, RIGHT_BYTES, right_bytes),
            slots: Semaphore::new(REVIEWS),
            away_until: Mutex::new(None),
        })
    }

    pub(super) fn token<'a>(&self, text: &'a str) -> Token<'a> {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.key, text.as_bytes()).as_ref());
        Token { text, digest }
    }

    /// Whether the token can be judged without asking, at least while the API server is away.
    pub(super) fn knows(&self, token: &Token<'_>) -> bool {
        self.users.has(&token.digest)
    }

    /// The user of the token. None if it is not valid, or not for this service.
    pub(super) async fn user(&self, token: &Token<'_>) -> Result<Option<Arc<User>>, Unavailable> {
        self.users.get(token.digest, async || self.review_token(token).await).await
    }

    /// Whether the user has the permission in the namespace, or in all namespaces.
    pub(super) async fn allows(&self, user: &User, verb: Verb, namespace: Option<&str>) -> Result<bool, Unavailable> {
        // No such namespace can exist, and the API server reads an empty one as all namespaces.
        if namespace.is_some_and(|name| !is_namespace(name)) {
            return Ok(false);
        }
        let right = (user.token, verb, namespace.map(Box::from));
        Ok(self.rights.get(right, async || self.review_access(user, verb, namespace).await).await?.is_some())
    }

    async fn review_token(&self, token: &Token<'_>) -> Result<Answer<Arc<User>>, Unavailable> {
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec { token: Some(token.text.to_owned()), audiences: Some(vec![self.audience.clone()]) },
            status: None,
        };
        let status = self.create(review).await?.status.ok_or(Unavailable)?;
        // A server that knows nothing of audiences returns none: then the token is for the API server, not for us.
        let audience = status.audiences.is_some_and(|audiences| audiences.contains(&self.audience));
        let user = status.user.filter(|_| status.authenticated == Some(true) && audience);
        let Some((user, Some(name))) = user.map(|mut user| {
            let name = user.username.take().filter(|name| !name.is_empty());
            (user, name)
        }) else {
            return Ok(Answer::No);
        };
        let expires = expiry::of(token.text);
        let user = User {
            name: name.into(),
            uid: user.uid,
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
            token: token.digest,
            expires,
        };
        Ok(Answer::Yes(Arc::new(user), expires))
    }

    async fn review_access(&self, user: &User, verb: Verb, namespace: Option<&str>) -> Result<Answer<()>, Unavailable> {
        let review = SubjectAccessReview {
            metadata: ObjectMeta::default(),
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.to_string()),
                uid: user.uid.clone(),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    resource: Some(RESOURCE.to_owned()),
                    verb: Some(verb.as_str().to_owned()),
                    namespace: namespace.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            status: None,
        };
        let status = self.create(review).await?.status.ok_or(Unavailable)?;
        Ok(if status.allowed { Answer::Yes((), user.expires) } else { Answer::No })
    }

    /// Creates a review and returns it with its answer.
    async fn create<K>(&self, review: K) -> Result<K, Unavailable>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        if self.is_away() {
            return Err(Unavailable);
        }
        let api: Api<K> = Api::all(self.client.clone());
        let asked = async {
            let _slot = self.slots.acquire().await;
            api.create(&PostParams::default(), &review).await
        };
        let kind = K::kind(&());
        match tokio::time::timeout(self.times.review, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => {
                let hint = if matches!(status.code, 401 | 403) {
                    "; bind the ClusterRole system:auth-delegator to the ServiceAccount of this service"
                } else {
                    ""
                };
                tracing::error!(code = status.code, reason = status.reason, "the API server refused a {kind}{hint}");
                Err(Unavailable)
            }
            Ok(Err(error)) => Err(self.pause(&format_args!("cannot create a {kind}: {error}"))),
            Err(_elapsed) => {
                Err(self.pause(&format_args!("no answer to a {kind} within {} s", self.times.review.as_secs())))
            }
        }
    }

    fn is_away(&self) -> bool {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// After this the API server is not asked for a moment, so that requests with old answers need not wait for it.
    fn pause(&self, why: &std::fmt::Arguments<'_>) -> Unavailable {
        tracing::warn!("the API server is unavailable: {why}");
        let until = Instant::now() + self.times.pause;
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        Unavailable
    }
}

/// Whether it is a DNS label, as the name of every namespace is.
pub(super) fn is_namespace(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| inner(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn user_bytes(_digest: &[u8; 32], answer: &Answer<Arc<User>>) -> u32 {
    let contents = match answer {
        Answer::Yes(user, _) => {
            let texts = |texts: &[String]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
            let extra = |extra: &BTreeMap<String, Vec<String>>| {
                extra.iter().map(|(key, values)| key.len() + 2 * size_of::<String>() + texts(values)).sum::<usize>()
            };
            size_of::<User>() + user.name.len() + texts(&user.groups) + extra(&user.extra)
        }
        Answer::No => 0,
    };
    u32::try_from(ENTRY_BYTES + contents).unwrap_or(u32::MAX)
}

fn right_bytes((_, _, namespace): &Right, _answer: &Answer<()>) -> u32 {
    u32::try_from(ENTRY_BYTES + namespace.as_ref().map_or(0, |name| name.len())).unwrap_or(u32::MAX)
}
