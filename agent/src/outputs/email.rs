//! `type: email`: one mail with a text and an HTML part, the messages of one alert in one thread.
//! [`mail`] is pure but for the date.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use reqwest::Url;

use super::kind::Email;
use super::message::Message;
use super::outgoing::Outgoing;
use super::retry::Verdict;
use super::safe::{self, Place, fit};
use super::text::{self, Markup};
use super::tls;
use crate::config::secret::Secret;

/// A subject is read in a list.
const SUBJECT: usize = 160;
/// Nobody reads more.
const BODY: usize = 30_000;

/// One try.
pub(super) async fn send(settings: &Email, outgoing: &Outgoing, timeout: Duration) -> Verdict {
    let secrets = [&settings.smtp_url];
    let mail = match mail(settings, outgoing) {
        Ok(mail) => mail,
        Err(why) => return Verdict::Rejected { why },
    };
    let transport = match transport(&settings.smtp_url, timeout) {
        Ok(transport) => transport,
        Err(why) => return Verdict::Refused { why },
    };
    match tokio::time::timeout(timeout, transport.send(mail)).await {
        Ok(Ok(_)) => Verdict::Delivered,
        Ok(Err(error)) => judge(&error, &secrets),
        Err(_) => Verdict::Retry {
            why: format!("no answer within {}", super::render::span(timeout)),
            after: None,
        },
    }
}

/// RFC 5321: 4xx is for now, 5xx for good. What is about us and not about this mail is for someone
/// to mend.
fn judge(error: &SmtpError, secrets: &[&Secret]) -> Verdict {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !why.contains(&words) {
            why = format!("{why}: {words}");
        }
        cause = inner.source();
    }
    for secret in secrets {
        why = secret.scrub(&why);
    }
    let why = safe::short(&why, 300).into_owned();
    let code = error.status().map(u16::from);
    match code {
        // Not permitted, authentication, relaying denied.
        Some(530 | 534 | 535 | 538 | 550 | 551 | 553) => Verdict::Refused { why },
        Some(500..=599) => Verdict::Rejected { why },
        _ => Verdict::Retry { why, after: None },
    }
}

/// Without a user, STARTTLS is taken where it is offered; a password goes over TLS alone.
fn transport(
    url: &Secret,
    timeout: Duration,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    tls::install_provider();
    let url = Url::parse(url.expose()).map_err(|_| "its URL is none".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let parameters = TlsParameters::new(host.clone()).map_err(|error| {
        format!(
            "TLS cannot be used: {}",
            safe::short(&error.to_string(), 200)
        )
    })?;
    let is_smtps = url.scheme() == "smtps";
    let has_user = !url.username().is_empty();
    let (tls, port) = match (is_smtps, has_user) {
        (true, _) => (Tls::Wrapper(parameters), 465),
        (false, true) => (Tls::Required(parameters), 587),
        (false, false) => (Tls::Opportunistic(parameters), 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(url.port().unwrap_or(port))
        .tls(tls)
        .timeout(Some(timeout))
        .hello_name(ClientId::Domain(host_name()));
    if has_user {
        let user = decoded(url.username());
        let password = decoded(url.password().unwrap_or_default());
        builder = builder.credentials(Credentials::new(user, password));
    }
    Ok(builder.build())
}

fn host_name() -> String {
    let name = crate::config::host_name();
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if plain && !name.is_empty() {
        name.to_string()
    } else {
        "localhost".to_owned()
    }
}

/// `%40` → `@`.
fn decoded(text: &str) -> String {
    let plus_stays = text.replace('+', "%2B");
    let pair = format!("x={plus_stays}");
    let mut parsed = form_urlencoded::parse(pair.as_bytes());
    parsed
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Makes the mail.
///
/// # Errors
///
/// An address that is none; the configuration's check has complained.
pub(super) fn mail(settings: &Email, outgoing: &Outgoing) -> Result<Mail, String> {
    let message = outgoing.message();
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| format!("`{}` is no address: {error}", safe::short(text, 100)))
    };
    let subject = format!("[lapwing] {}", message.headline());
    let mut builder = Mail::builder()
        .from(mailbox(&settings.from)?)
        .subject(fit(&subject, Place::Plain, SUBJECT))
        .message_id(Some(id(&message.key, settings)))
        .date_now();
    for to in &settings.to {
        builder = builder.to(mailbox(to)?);
    }
    if !message.alert_id.is_empty() {
        // All of one alert refer to the same mail, which need not exist: readers make a thread.
        builder = builder.references(id(&message.alert_id, settings));
    }
    // RFC 3834: nobody's holiday answers this.
    for (name, value) in [
        ("Auto-Submitted", "auto-generated"),
        ("X-Lapwing-Key", &fit(&message.key, Place::Plain, 200)),
    ] {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
    }
    let alternative = MultiPart::alternative()
        .singlepart(SinglePart::plain(text::whole(
            &message,
            Markup::Plain,
            BODY,
            str::len,
        )))
        .singlepart(SinglePart::html(html(&message, outgoing)));
    let built = match outgoing.picture() {
        Some(png) => {
            let kind = ContentType::parse("image/png").map_err(|error| error.to_string())?;
            let picture = Attachment::new_inline("rate".to_owned()).body(Body::new(png), kind);
            builder.multipart(
                MultiPart::related()
                    .multipart(alternative)
                    .singlepart(picture),
            )
        }
        None => builder.multipart(alternative),
    };
    built.map_err(|error| safe::short(&error.to_string(), 200).into_owned())
}

/// Subject and text, for a person to look at.
pub(super) fn text(settings: &Email, outgoing: &Outgoing) -> String {
    let message = outgoing.message();
    let subject = fit(
        &format!("[lapwing] {}", message.headline()),
        Place::Plain,
        SUBJECT,
    );
    format!(
        "From: {}\nTo: {}\nSubject: {subject}\n\n{}",
        settings.from,
        settings.to.join(", "),
        text::whole(&message, Markup::Plain, BODY, str::len)
    )
}

fn id(key: &str, settings: &Email) -> String {
    let word: String = key
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '.'
            }
        })
        .collect();
    let domain = settings
        .from
        .rsplit_once('@')
        .map_or("lapwing", |(_, domain)| domain);
    let domain: String = domain
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
        .collect();
    format!("<{word}@{domain}>")
}

fn html(message: &Message, outgoing: &Outgoing) -> String {
    let body = text::whole(message, Markup::Html, BODY, str::len);
    let picture = if outgoing.picture().is_some() {
        "<p><img src=\"cid:rate\" alt=\"\"></p>"
    } else {
        ""
    };
    format!(
        "<!doctype html><html><body style=\"font-family: sans-serif; font-size: 14px\">\
         <div>{body}</div>{picture}</body></html>"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::outputs::message::Way;
    use crate::outputs::sample::{hostile, notification};

    fn settings() -> Email {
        Email {
            smtp_url: Secret::new("smtp://127.0.0.1:1"),
            from: "Lapwing <lapwing@example.com>".to_owned(),
            to: vec!["ops@example.com".to_owned()],
        }
    }

    fn raw(notification: lapwing_rules::model::Notification) -> String {
        let outgoing = Outgoing::one(Arc::new(notification), Way::default());
        let mail = mail(&settings(), &outgoing).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_both_parts_and_a_thread() {
        let raw = raw(notification());
        for part in [
            "Message-ID: <nginx-502-burst-7f3a9c2e51b04d68.1@example.com>",
            "References: <nginx-502-burst-7f3a9c2e51b04d68@example.com>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain",
            "Content-Type: text/html",
        ] {
            assert!(raw.contains(part), "{part} in {raw}");
        }
    }

    #[test]
    fn a_log_cannot_write_a_header() {
        let raw = raw(hostile("x\r\nBcc: evil@example.com\r\n\r\nbody\u{202e}"));
        let (head, _) = raw.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.lines().all(|line| line.len() <= 998), "{head}");
    }
}
