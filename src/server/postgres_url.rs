//! Where a PostgreSQL server is: checked when it is read, so that a server that starts has an address that makes sense.

use std::{fmt, fs, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a connection may take to come about, unless the URL says `connect_timeout`.
const CONNECT: Duration = Duration::from_secs(3);
/// How long what was sent may go without the other machine's system saying that it has it.
const UNHEARD: Duration = Duration::from_secs(10);

/// `postgres://user:password@host:port/database?option=value`: hosts, ports and options as libpq has them, `sslmode` as one of
/// `disable`, `prefer` (default), `require`, `verify-full`, the latter with the system's certificates or those of `sslrootcert`.
#[derive(Clone)]
pub struct PostgresUrl {
    text: String,
    config: Box<Config>,
    trust: Trust,
}

/// Whose certificates are good. As with libpq, nobody's are looked at unless that is asked for.
#[derive(Clone, Debug)]
enum Trust {
    Anybody,
    System,
    File(PathBuf),
}

impl PostgresUrl {
    /// As it was written, with the password.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(in crate::server) fn config(&self) -> &Config {
        &self.config
    }

    /// What encrypts the connections, where the server can.
    ///
    /// # Errors
    /// The certificates to be trusted cannot be read.
    pub(in crate::server) fn tls(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|cause| cause.to_string())?;
        let certificates = match &self.trust {
            Trust::Anybody => {
                let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(NotLookedAt(provider)));
                return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
            }
            Trust::System => rustls_native_certs::load_native_certs().certs,
            Trust::File(file) => {
                let unreadable = |cause: &dyn fmt::Display| format!("sslrootcert {}: {cause}", file.display());
                let pem = fs::read(file).map_err(|cause| unreadable(&cause))?;
                CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|cause| unreadable(&cause))?
            }
        };
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err("sslmode=verify-full: there are no certificates to trust; name a file with sslrootcert".to_owned());
        }
        Ok(MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, options) = text.split_once('?').unwrap_or((text, ""));
        let (mut others, mut mode, mut certificates) = (Vec::new(), SslMode::Prefer, None);
        let mut trust = Trust::Anybody;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", "disable")) => mode = SslMode::Disable,
                Some(("sslmode", "prefer")) => mode = SslMode::Prefer,
                Some(("sslmode", "require")) => mode = SslMode::Require,
                Some(("sslmode", "verify-full")) => (mode, trust) = (SslMode::Require, Trust::System),
                Some(("sslmode", _)) => return Err("sslmode is disable, prefer, require or verify-full".to_owned()),
                Some(("sslrootcert", file)) => certificates = Some(PathBuf::from(file)),
                _ => others.push(option),
            }
        }
        match (&trust, certificates) {
            (Trust::System, Some(file)) => trust = Trust::File(file),
            (_, Some(_)) => return Err("sslrootcert is of use only with sslmode=verify-full".to_owned()),
            (_, None) => {}
        }
        let plain = if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) };
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })?;
        if config.get_hosts().is_empty() {
            return Err("a host is missing; for a socket, host=%2Frun%2Fpostgresql".to_owned());
        }
        let hosts = config.get_hosts().iter();
        let names = hosts.filter_map(|host| if let Host::Tcp(name) = host { Some(name.as_str()) } else { None });
        if names.chain(config.get_dbname()).any(|name| name.contains('@')) {
            return Err("the host and the database have no @; write %40 for an @ in the password".to_owned());
        }
        if config.get_user().is_none() {
            return Err("a user is missing".to_owned());
        }
        if config.get_dbname().is_none() {
            return Err("the database is missing".to_owned());
        }
        config.ssl_mode(mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNHEARD);
        }
        if config.get_application_name().is_none() {
            config.application_name("confab");
        }
        Ok(Self { text: text.to_owned(), config: Box::new(config), trust })
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PostgresUrl {}

/// Hosts and database, without who one is there: for logs and messages.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().enumerate().map(|(number, host)| {
            let ports = self.config.get_ports();
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(folder) => folder.display().to_string(),
            }
        });
        write!(f, "{}/{}", hosts.collect::<Vec<_>>().join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

/// Takes any certificate: what is sent is encrypted, but it is not shown who reads it. Signatures are checked all the same.
#[derive(Debug)]
struct NotLookedAt(Arc<CryptoProvider>);

impl ServerCertVerifier for NotLookedAt {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_address_has_no_password() {
        for (text, shown) in [
            ("postgres://me:pw@db/confab", "db:5432/confab"),
            ("postgresql://me:p%40w@db:5433/confab?sslmode=require", "db:5433/confab"),
            ("postgres://me:pw@one,two:7/confab?target_session_attrs=read-write", "one:5432,two:7/confab"),
            ("postgres://me@%2Frun%2Fpostgresql/confab", "/run/postgresql/confab"),
            ("postgres:///confab?host=/run/postgresql&user=me&password=pw", "/run/postgresql/confab"),
        ] {
            let url: PostgresUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.to_string().as_str(), url.as_str()), (shown, text));
            assert_eq!(format!("{url:?}"), format!("PostgresUrl({shown})"));
        }
    }

    #[test]
    fn how_far_a_server_is_trusted() {
        let modes = |text: &str| {
            let url: PostgresUrl = text.parse().expect("an address");
            (url.config.get_ssl_mode(), format!("{:?}", url.trust))
        };
        assert_eq!(modes("postgres://me@db/a"), (SslMode::Prefer, "Anybody".to_owned()));
        assert_eq!(modes("postgres://me@db/a?sslmode=disable"), (SslMode::Disable, "Anybody".to_owned()));
        assert_eq!(modes("postgres://me@db/a?sslmode=verify-full"), (SslMode::Require, "System".to_owned()));
        assert_eq!(
            modes("postgres://me@db/a?sslrootcert=/etc/ca.pem&sslmode=verify-full"),
            (SslMode::Require, "File(\"/etc/ca.pem\")".to_owned())
        );
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, error) in [
            ("postgres://db/confab", "a user is missing"),
            ("postgres://me@db", "the database is missing"),
            ("postgres:///confab?user=me", "a host is missing"),
            ("postgres://me@db/a?sslmode=verify-ca", "sslmode is disable"),
            ("postgres://me@db/a?sslrootcert=x", "sslrootcert is of use only"),
            ("postgres://me@db/a?colour=red", "colour"),
            ("postgres://me@db:port/a", "port"),
            ("postgres://me:p@ss@db/a", "write %40 for an @"),
            ("postgres://me:p@s/s@db/a", "write %40 for an @"),
        ] {
            let refused = text.parse::<PostgresUrl>().expect_err(text);
            assert!(refused.contains(error), "{text}: {refused}");
        }
    }

    #[test]
    fn a_missing_file_of_certificates_is_named() {
        let url: PostgresUrl =
            "postgres://me@db/a?sslmode=verify-full&sslrootcert=/nowhere/ca.pem".parse().expect("an address");
        let error = url.tls().map(|_| ()).expect_err("no such file");
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
    }
}
