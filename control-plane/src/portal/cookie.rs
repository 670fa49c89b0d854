//! The cookies of the portals: read from a request, written into an answer. All are of this host alone (`__Host-`), sent
//! over TLS alone, kept from scripts, and not sent with what other sites post here.

use http::{HeaderMap, HeaderValue, header};

/// Who is signed in: the token that the admin API's sign-in gives. It lives as long as the browser is open; the session
/// ends by itself at the server. That it is sent for longer proves whose form it was that came too late.
pub const SESSION: &str = "__Host-tidegate-session";
/// Tells anonymous users who look at a form apart, so that nobody else can submit it for them.
pub const ANONYMOUS: &str = "__Host-tidegate-anonymous";
/// What the next page says first.
pub const NOTICE: &str = "__Host-tidegate-notice";

/// Longer ones are not ours.
const VALUE_MAX: usize = 2048;

/// The value of a cookie. Of two with one name, which browsers never send, neither counts.
#[must_use]
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    (found.next().is_none() && !value.is_empty() && value.len() <= VALUE_MAX).then_some(value)
}

/// Writes a cookie of Base64 letters; `seconds` for one that outlives the browser's window, or dies before it.
pub fn write(headers: &mut HeaderMap, name: &str, value: &str, seconds: Option<u32>) {
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    let mut value = HeaderValue::try_from(cookie).expect("names and Base64 fit into a header");
    value.set_sensitive(true);
    headers.append(header::SET_COOKIE, value);
}

/// Takes a cookie back.
pub fn clear(headers: &mut HeaderMap, name: &str) {
    write(headers, name, "", Some(0));
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::read;

    #[test]
    fn a_cookie_is_found_among_others_and_one_that_comes_twice_is_not_believed() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2;c=3"));
        assert_eq!(read(&headers, "b"), Some("2"));
        assert_eq!(read(&headers, "c"), Some("3"));
        assert_eq!(read(&headers, "d"), None);
        headers.append(header::COOKIE, HeaderValue::from_static("b=4"));
        assert_eq!(read(&headers, "b"), None);
    }
}
