//! Which proxy an output's messages go by. The HTTP client decides that itself when it sends; here the same
//! matcher is asked beforehand. Connects to nobody.

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::kind::{Kind, Transport};

/// A proxy as the environment names it, without what it is told to let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub transport: Transport,
}

/// The proxy by which this output is reached, as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this
/// process say; `None` where it is reached directly, as is all that speaks no HTTP.
pub fn proxy_of(kind: &Kind) -> Option<Proxy> {
    by(&Matcher::from_system(), kind)
}

fn by(matcher: &Matcher, kind: &Kind) -> Option<Proxy> {
    let to = Uri::try_from(kind.url()?.as_str()).ok()?;
    let proxy = matcher.intercept(&to)?;
    let (transport, usual) = match proxy.uri().scheme_str() {
        Some("https") => (Transport::Tls, 443),
        _ => (Transport::Tcp, 80),
    };
    Some(Proxy {
        host: proxy.uri().host()?.to_owned(),
        port: proxy.uri().port_u16().unwrap_or(usual),
        transport,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;
    use crate::outputs::WebhookFormat;
    use crate::outputs::kind::Email;

    fn webhook(url: &str) -> Kind {
        Kind::Webhook {
            url: Secret::new(url),
            format: WebhookFormat::Lapwing,
            secret: None,
        }
    }

    #[test]
    fn http_goes_by_the_proxy_of_its_scheme_unless_its_host_is_excepted() {
        let matcher = Matcher::builder()
            .http("http://ops:sesame@plain.example:3128")
            .https("https://safe.example")
            .no("inside.example,192.0.2.0/24")
            .build();
        let host = |kind: &Kind| by(&matcher, kind).map(|proxy| (proxy.host, proxy.port));
        let plain = Some(("plain.example".to_owned(), 3128));
        let safe = Some(("safe.example".to_owned(), 443));
        assert_eq!(host(&webhook("http://a.example/token")), plain);
        assert_eq!(host(&webhook("HTTPS://a.example/token")), safe);
        assert_eq!(host(&webhook("https://hooks.inside.example/")), None);
        assert_eq!(host(&webhook("http://192.0.2.7:8080/")), None);
    }

    #[test]
    fn nothing_else_goes_by_a_proxy_and_an_empty_variable_names_none() {
        let matcher = Matcher::builder().all("http://proxy.example").build();
        let mail = Kind::Email(Email {
            smtp_url: Secret::new("smtps://mail.example"),
            from: String::new(),
            to: Vec::new(),
        });
        assert_eq!(by(&matcher, &mail), None);
        let empty = Matcher::builder().all("").https("").build();
        assert_eq!(by(&empty, &webhook("https://a.example")), None);
    }
}
