//! From settings to the parts that a server, a call or a check is made of: the catalog and the databases. Reads files,
//! opens no connections.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tine_worker::catalog::{self, Catalog, LoadContext};
use tine_worker::db;
use tine_worker::effects;
use tine_worker::files::Files;
use tine_worker::log_table;

use crate::config::database::{Database, Pooler, Secret};
use crate::config::{ConfigError, Settings};
use crate::fault::{Fault, Origin, Severity, nearest};

/// All tools, and everything that is wrong with their files.
pub fn catalog(settings: &Settings, files: &Files) -> (Catalog, Vec<Fault>) {
    let context = LoadContext {
        databases: settings
            .databases
            .iter()
            .map(|database| database.name.clone())
            .collect(),
        timeout: settings.timeout_statement,
        max_timeout: settings.timeout_statement,
        page_size: settings.list_page_size,
        programs: Some(settings.programs.keys().cloned().collect()),
        brokers: Some(
            settings
                .brokers
                .iter()
                .map(|broker| broker.name.clone())
                .collect(),
        ),
        settings: settings.values.clone(),
        environment: settings.environment.clone(),
    };
    let (catalog, faults) = Catalog::load(&settings.toolsets, &context, files);
    (catalog, faults.into_iter().map(fault).collect())
}

/// What the configuration says about toolsets that don't exist: nobody could reach a tool there.
pub fn unknown_toolsets(settings: &Settings, catalog: &Catalog) -> Vec<Fault> {
    let default = settings.default_toolset.iter();
    let default = default.map(|name| (name, "default_toolset".to_owned()));
    let tokens = settings.tokens.iter().filter_map(|token| {
        let name = token.toolset.as_ref()?;
        Some((name, format!("the token {}", token.name)))
    });
    default
        .chain(tokens)
        .filter(|(name, _)| catalog.toolset(Some(name)).is_none())
        .map(|(name, who)| {
            let known: Vec<&str> = catalog.toolset_names().collect();
            let message = format!("{who} names the toolset `{name}`, which doesn't exist");
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            Fault::error(Origin::Nowhere, message).help(help)
        })
        .collect()
}

fn fault(fault: catalog::Fault) -> Fault {
    let origin = Origin::File {
        path: fault.source.file.to_path_buf(),
        text: fault.source.text.clone(),
        span: fault.span,
    };
    let severity = match fault.severity {
        catalog::Severity::Error => Severity::Error,
        catalog::Severity::Warning => Severity::Warning,
    };
    Fault {
        severity,
        origin,
        message: fault.message,
        help: fault.help,
    }
}

/// What tools may reach beside databases.
///
/// # Errors
/// A broker that can't be used as it is configured.
pub fn effects(settings: &Settings, files: &Files) -> Result<effects::Settings, ConfigError> {
    let mut brokers = BTreeMap::new();
    for broker in &settings.brokers {
        let login = broker
            .login
            .as_ref()
            .map(|(login, passcode)| (login.clone(), passcode.reveal().to_owned()));
        let made = effects::Broker::new(&broker.url, login, broker.tls_ca.as_deref(), files);
        let made = made.map_err(|error| {
            let message = format!("[brokers.{}]: {error}", broker.name);
            ConfigError(vec![Fault::error(Origin::Nowhere, message)])
        })?;
        brokers.insert(broker.name.clone(), made);
    }
    Ok(effects::Settings {
        programs: settings.programs.clone(),
        brokers,
        private: settings.http_private.clone(),
        cache: effects::Cache::default(),
    })
}

/// The databases as a worker's pools take them.
///
/// # Errors
/// A URL that is missing or cannot be used; the message has no password in it.
pub fn databases(settings: &Settings, files: &Files) -> Result<Vec<db::Settings>, ConfigError> {
    settings
        .require_databases()?
        .into_iter()
        .map(|(place, url)| {
            database(settings, place, url, files).map_err(|error| {
                ConfigError(vec![Fault::error(Origin::Nowhere, error.to_string())])
            })
        })
        .collect()
}

/// The log table as a worker writes it, if there is one.
///
/// # Errors
/// Its database's URL is missing or cannot be used; the message has no password in it.
pub fn log_table(
    settings: &Settings,
    files: &Files,
) -> Result<Option<log_table::Settings>, ConfigError> {
    let Some(log) = &settings.log_table else {
        return Ok(None);
    };
    let mut only = settings.clone();
    only.databases
        .retain(|database| database.name == log.database);
    let Some(mut database) = databases(&only, files)?.pop() else {
        return Ok(None);
    };
    database.name.push_str(" (log)");
    database.options.connections = 1;
    let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let bounded = |name: String| name.chars().take(100).collect();
    Ok(Some(log_table::Settings {
        database,
        table: log.table.clone(),
        level: log.level,
        app_name: bounded(
            log.app_name
                .clone()
                .unwrap_or_else(|| settings.server_name.clone()),
        ),
        instance_name: bounded(match &log.instance_name {
            Some(name) => name.clone(),
            None => host().unwrap_or_default(),
        }),
    }))
}

/// One database as a pool takes it.
///
/// # Errors
/// A URL that cannot be used; the message has no password in it.
pub fn database(
    settings: &Settings,
    database: &Database,
    url: &Secret,
    files: &Files,
) -> Result<db::Settings, db::SettingsError> {
    let defaults = db::Options::default();
    let options = db::Options {
        connections: database.connections,
        // All calls that a worker admits, and those that it runs above its limit, at most once more as many.
        queue: 2 * usize::try_from(settings.limit_concurrency).unwrap_or(usize::MAX / 2),
        pooler: database.pooler == Pooler::Transaction,
        time_zone: database
            .time_zone
            .clone()
            .unwrap_or(defaults.time_zone.clone()),
        statement_timeout: settings.timeout_statement,
        tls_ca: database.tls_ca.clone(),
        ..defaults
    };
    db::Settings::parse(&database.name, url.reveal(), &options, files)
}
