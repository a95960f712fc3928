//! A session that waits, for a command that runs a few statements and ends: the same database and the same proof of its
//! certificate as the pool's, without the loop. Knows nothing of calls.

use std::error::Error;

use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::Settings;

impl Settings {
    /// Connects and logs in, each host within the connect timeout. The session has none of the pool's parameters: it
    /// is not read only, and its limits are the server's.
    ///
    /// # Errors
    /// Why there is no session, in one line, without the password.
    pub fn connect_blocking(&self, application_name: &str) -> Result<Client, String> {
        let mut config = self.config.clone();
        config
            .application_name(application_name)
            .connect_timeout(self.options.connect_timeout);
        let outcome = self.connect_once(&config);
        // As the pool does: `prefer` is encryption if it works, else without.
        let refused = matches!(&outcome, Err(error) if error.as_db_error().is_none_or(|e| e.code().code() == "28000"));
        let outcome = if refused && self.tls.is_some() && config.get_ssl_mode() == SslMode::Prefer {
            self.connect_once(config.ssl_mode(SslMode::Disable))
                .or(outcome)
        } else {
            outcome
        };
        let zone = self.options.time_zone.replace('\'', "''");
        // Not in the start-up message, where a transaction pooler may refuse it; of all poolers' sessions it is kept.
        let set_zone = |mut client: Client| {
            let set = client.batch_execute(&format!("SET TimeZone = '{zone}'"));
            set.map(|()| client)
        };
        outcome.and_then(set_zone).map_err(|error| describe(&error))
    }

    fn connect_once(&self, config: &Config) -> Result<Client, postgres::Error> {
        match &self.tls {
            Some(tls) => config.connect(MakeRustlsConnect::new(tls.config())),
            None => config.connect(NoTls),
        }
    }
}

/// The whole chain of causes.
fn describe(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
