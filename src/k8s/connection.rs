//! A connection whose credentials change while it is used.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connect::{ConnectError, Way};
use super::login::Login;
use crate::base::ids::Digest;

/// For how long credentials that came out the same are not asked for again.
const NO_NEWS_FOR: Duration = Duration::from_secs(5);

/// What requests go through. Files, plugins and the hub's Secrets are asked again when credentials
/// are about to end, and when a server does not accept them any more.
pub(super) struct Connection {
    /// Where the settings come from; a fixed client when not given.
    way: Option<Way>,
    held: Mutex<Held>,
}

/// The client of the moment.
struct Held {
    client: kube::Client,
    /// Counts the clients.
    generation: u64,
    /// What the client was made of, as a digest.
    made_of: String,
    /// When to look whether there are other credentials.
    again_at: Option<Instant>,
    /// When it came out that there are no others.
    no_news_at: Option<Instant>,
}

/// What a client is made of.
pub(super) struct Settings {
    /// The server, and credentials that do not change.
    pub(super) config: kube::Config,
    /// When to look whether there are others.
    pub(super) again_in: Option<Duration>,
    /// A digest of all of it.
    pub(super) made_of: String,
}

impl Settings {
    /// Of a server and its user.
    pub(super) fn new(mut config: kube::Config, login: Login) -> Self {
        config.auth_info = login.user;
        let user = serde_json::to_string(&config.auth_info).unwrap_or_default();
        let said = format!(
            "{} {:?} {:?} {} {user}",
            config.cluster_url, config.proxy_url, config.root_cert, config.accept_invalid_certs
        );
        let made_of = Digest::of(said.as_bytes()).as_str().to_owned();
        Self { config, again_in: login.again_in, made_of }
    }
}

impl Connection {
    /// One that is always the same.
    pub(super) fn fixed(client: kube::Client) -> Self {
        let held = Held {
            client,
            generation: 0,
            made_of: String::new(),
            again_at: None,
            no_news_at: None,
        };
        Self { way: None, held: Mutex::new(held) }
    }

    /// One by these settings.
    pub(super) async fn open(way: Way) -> Result<Self, ConnectError> {
        let settings = way.settings().await?;
        let held = Held {
            generation: 0,
            again_at: settings.again_in.map(|after| Instant::now() + after),
            no_news_at: None,
            made_of: settings.made_of,
            client: way.client(settings.config)?,
        };
        Ok(Self { way: Some(way), held: Mutex::new(held) })
    }

    /// The client of the moment, and which one it is. Where new credentials are due and cannot be
    /// got, it is the old one: the server knows better.
    pub(super) async fn client(&self) -> (kube::Client, u64) {
        let mut held = self.held.lock().await;
        if held.again_at.is_some_and(|at| at <= Instant::now())
            && let Some(way) = &self.way
            && let Err(error) = held.look_again(way).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "credentials are not renewed");
            held.again_at = Some(Instant::now() + NO_NEWS_FOR);
        }
        (held.client.clone(), held.generation)
    }

    /// The server did not accept the credentials of this client: whether there are others now.
    ///
    /// # Errors
    /// Where they could not be asked for.
    pub(super) async fn renew(&self, generation: u64) -> Result<bool, ConnectError> {
        let mut held = self.held.lock().await;
        let Some(way) = &self.way else { return Ok(false) };
        let is_known = held.no_news_at.is_some_and(|at| at.elapsed() < NO_NEWS_FOR);
        if held.generation == generation && !is_known {
            held.look_again(way).await?;
        }
        Ok(held.generation != generation)
    }
}

impl Held {
    async fn look_again(&mut self, way: &Way) -> Result<(), ConnectError> {
        // Also where they cannot be asked for.
        self.no_news_at = Some(Instant::now());
        let settings = way.settings().await?;
        self.again_at = settings.again_in.map(|after| Instant::now() + after);
        if settings.made_of != self.made_of {
            self.client = way.client(settings.config)?;
            self.made_of = settings.made_of;
            self.generation += 1;
            self.no_news_at = None;
        }
        Ok(())
    }
}
