//! What a token has to say to be good here, and what it says of its client. Not its signature, which was verified before.

use serde_json::{Map, Value};
use whimbrel_access::Claims;

use super::{TokenFault, TokenOptions};

/// What a token says about itself: rules have no use for it, and it is another in each token.
const OF_TOKEN: [&str; 10] =
    ["exp", "iat", "nbf", "jti", "auth_time", "nonce", "at_hash", "c_hash", "sid", "session_state"];

/// Where a claim stands: its name, or a path (`/realm_access/roles`) to one inside of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a>(pub(super) &'a str);

/// What a good token says of its client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) user_name: Box<str>,
    pub(super) client_id: Option<Box<str>>,
    /// In seconds since 1970.
    pub(super) ends_at: Option<u64>,
    pub(super) claims: Claims,
}

impl Place<'_> {
    fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let Some(path) = self.0.strip_prefix('/') else { return claims.get(self.0) };
        let mut names = path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
        let mut value = claims.get(&names.next()?)?;
        for name in names {
            value = value.as_object()?.get(&name)?;
        }
        Some(value)
    }
}

/// Holds the claims against what is asked for at `now`, in seconds since 1970.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn read(
    options: &TokenOptions,
    claims: &Map<String, Value>,
    now: u64,
) -> Result<Said, TokenFault> {
    if let Some(issuer) = &options.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err(TokenFault::Issuer);
    }
    check_audience(&options.audience, claims.get("aud"))?;
    let (skew, time) = (options.clock_skew_secs, |name| claims.get(name).map(seconds).transpose());
    if time("nbf")?.is_some_and(|begins_at| begins_at > now.saturating_add(skew)) {
        return Err(TokenFault::NotYetValid);
    }
    let ends_at = time("exp")?.map(|ends_at| ends_at.saturating_add(skew));
    match ends_at {
        Some(ends_at) if ends_at <= now => return Err(TokenFault::Expired),
        None if options.expiry_required => return Err(TokenFault::NoExpiry),
        _ => {}
    }
    let user_name = name(Place(&options.user_name_claim).find(claims)).ok_or(TokenFault::UserName)?;
    let client_id = match &options.client_id_claim {
        Some(place) => Some(name(Place(place).find(claims)).ok_or(TokenFault::ClientId)?),
        None => None,
    };
    let list = |place: &Option<String>, fault: TokenFault, separated: bool| {
        let Some(place) = place else { return Ok(None) };
        Place(place)
            .find(claims)
            .map_or(Ok(Vec::new()), |value| texts(value, separated).ok_or(fault))
            .map(Some)
    };
    let groups = list(&options.groups_claim, TokenFault::Groups, true)?.unwrap_or_default();
    let publish = list(&options.publish_claim, TokenFault::Permissions, false)?;
    let subscribe = list(&options.subscribe_claim, TokenFault::Permissions, false)?;
    let values = claims.iter().filter(|(name, _)| !OF_TOKEN.contains(&name.as_str()));
    let values = values.filter_map(|(name, value)| Some((name.as_str().into(), scalar(value)?)));
    let claims = Claims::new(values.collect(), groups);
    let claims = claims.granting(publish, subscribe).map_err(|_| TokenFault::Permissions)?;
    Ok(Said { user_name, client_id, ends_at, claims })
}

/// A token without `aud` is for everybody; one with it is for those who are named in it alone [RFC 7519 4.1.3].
fn check_audience(asked: &[String], audience: Option<&Value>) -> Result<(), TokenFault> {
    let good = match audience {
        None => asked.is_empty(),
        Some(Value::String(one)) => asked.contains(one),
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string)
                && several.iter().filter_map(Value::as_str).any(|one| asked.iter().any(|asked| asked == one))
        }
        Some(_) => false,
    };
    if good { Ok(()) } else { Err(TokenFault::Audience) }
}

/// A moment in seconds since 1970, which may have a fraction.
fn seconds(value: &Value) -> Result<u64, TokenFault> {
    if let Some(whole) = value.as_u64() {
        return Ok(whole);
    }
    let number = value.as_f64().filter(|number| *number >= 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and it is not below 0"
    )]
    number.map(|number| number as u64).ok_or(TokenFault::Time)
}

/// A name that a client can have.
fn name(value: Option<&Value>) -> Option<Box<str>> {
    let text = value?.as_str()?;
    let good = !text.is_empty() && text.len() <= usize::from(u16::MAX) && !text.contains(char::is_control);
    good.then(|| text.into())
}

/// A list of texts, or one text: `separated` by spaces, or whole.
fn texts(value: &Value, separated: bool) -> Option<Vec<Box<str>>> {
    match value {
        Value::String(text) if separated => Some(text.split_ascii_whitespace().map(Box::from).collect()),
        Value::String(text) => Some(vec![text.as_str().into()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(Box::from)).collect(),
        _ => None,
    }
}

/// What can stand in a level of a topic.
fn scalar(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        _ => None,
    }
}
