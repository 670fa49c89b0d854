//! Client addresses and ranges of them, as policies name them.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::invalid::{Rule, reason};

/// An address, or a range of them. Version 4 in version 6 is version 4, as gateways see clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange(IpNet);

// === impl AddressRange ===

impl AddressRange {
    /// Reads `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
    ///
    /// # Errors
    /// When it is neither, or has bits set behind its prefix: the range that was meant may be another one.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        if text.is_empty() {
            return Err(Rule::new(reason::REQUIRED, "must not be empty"));
        }
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let Ok(range) = one.or_else(|_| text.parse::<IpNet>()) else {
            return Err(Rule::new(
                reason::MALFORMED,
                "must be an IP address, or a range such as `192.0.2.0/24`",
            ));
        };
        let trunk = range.trunc();
        if trunk != range {
            return Err(Rule::new(
                reason::MALFORMED,
                format!("has bits set behind its prefix; the range around it is `{trunk}`"),
            ));
        }
        Ok(Self(canonical(range)))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

fn canonical(range: IpNet) -> IpNet {
    let v4 = match (range.addr().to_canonical(), range) {
        (IpAddr::V4(v4), IpNet::V6(v6)) => v6
            .prefix_len()
            .checked_sub(96)
            .and_then(|length| IpNet::new(v4.into(), length).ok()),
        _ => None,
    };
    v4.unwrap_or(range)
}

#[cfg(test)]
mod tests {
    use super::AddressRange;
    use crate::domain::invalid::reason;

    #[test]
    fn addresses_and_ranges_read_back_in_one_form() {
        for (text, form) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            let range = AddressRange::parse(text).unwrap();
            assert_eq!(range.to_string(), form, "{text}");
            assert_eq!(AddressRange::parse(form), Ok(range), "{text}");
        }
    }

    #[test]
    fn what_is_neither_and_what_has_bits_behind_its_prefix_is_refused() {
        assert_eq!(
            AddressRange::parse("").unwrap_err().reason,
            reason::REQUIRED
        );
        for text in [
            "192.0.2.7/24",
            "2001:db8::1/32",
            "::ffff:192.0.2.7/100",
            "192.0.2.0/33",
            "192.0.2",
            "192.0.2.0/",
            "fe80::1%eth0",
            " 192.0.2.7",
            "example.org",
        ] {
            let rule = AddressRange::parse(text).unwrap_err();
            assert_eq!(rule.reason, reason::MALFORMED, "{text}");
        }
        let rule = AddressRange::parse("192.0.2.7/24").unwrap_err();
        assert!(rule.description.contains("`192.0.2.0/24`"));
    }
}
