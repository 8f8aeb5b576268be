//! The properties of -D: `-D PACKET PROPERTY VALUE`, and `-D PACKET user-property NAME VALUE`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use whimbrel_client::{ConnectProperties, Farewell, Properties};

use super::Tool;

/// The name of the argument in clap's matches.
const PROPERTY: &str = "property";

/// Every -D of the command line, in order. clap knows no lists of lists, so this is told to it by hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct PropertyArgs {
    given: Vec<Vec<String>>,
}

impl clap::FromArgMatches for PropertyArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let occurrences = matches.get_occurrences::<String>(PROPERTY).into_iter().flatten();
        let given = occurrences.map(|values| values.cloned().collect()).collect();
        Ok(PropertyArgs { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for PropertyArgs {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(PROPERTY)
                .short('D')
                .long("property")
                .action(ArgAction::Append)
                .num_args(3..=4)
                .allow_negative_numbers(true)
                .value_names(["PACKET", "PROPERTY", "VALUE"])
                .help_heading("Properties (5.0)")
                .help("Send a property: -D publish content-type text/plain")
                .long_help(
                    "Send a property: -D publish content-type text/plain\n\n\
                     User properties have a name and a value: -D publish user-property room kitchen\n\n\
                     PACKET is connect, will, disconnect, and for pub publish, for sub subscribe or \
                     unsubscribe. PROPERTY is the specification's name for it with `-` between the words.",
                ),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// What was said by all -D together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Whether there was any.
    pub(crate) any: bool,
    pub(crate) connect: ConnectProperties,
    /// CONNECT's session expiry interval, which -x says too.
    pub(crate) session_expiry_secs: Option<u32>,
    pub(crate) will: Properties,
    pub(crate) will_delay_secs: Option<u32>,
    pub(crate) publish: Properties,
    pub(crate) subscription_id: Option<u32>,
    pub(crate) subscribe: Vec<(String, String)>,
    pub(crate) unsubscribe: Vec<(String, String)>,
    pub(crate) farewell: Farewell,
}

/// What is wrong with a -D.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PropertyError {
    /// The packet is none that this program sends with properties.
    Packet(String, Tool),
    /// The packet has no such property, or a client does not send it.
    Unknown { packet: String, property: String },
    /// The value does not fit.
    Value { property: String, value: String, wanted: &'static str },
    /// Given before.
    Twice(String),
    /// A value too many or too few.
    Count { property: String, wanted: usize },
}

impl std::fmt::Display for PropertyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PropertyError::Packet(packet, tool) => {
                let packets = match tool {
                    Tool::Publish => "connect, will, publish and disconnect",
                    Tool::Subscribe => "connect, will, subscribe, unsubscribe and disconnect",
                };
                write!(f, "-D {packet}: this program sends properties in {packets}")
            }
            PropertyError::Unknown { packet, property } => {
                write!(f, "-D {packet} {property}: a client sends no such property in this packet")
            }
            PropertyError::Value { property, value, wanted } => {
                write!(f, "-D … {property} {value}: write {wanted}")
            }
            PropertyError::Twice(property) => write!(f, "-D … {property}: this property can be given once"),
            PropertyError::Count { property, wanted } => {
                write!(f, "-D … {property} takes {wanted} value{}", if *wanted == 1 { "" } else { "s" })
            }
        }
    }
}

type Put = Result<bool, PropertyError>;

impl PropertyArgs {
    /// Reads them all.
    pub(super) fn read(&self, tool: Tool) -> Result<Said, PropertyError> {
        let mut said = Said { any: !self.given.is_empty(), ..Said::default() };
        for given in &self.given {
            let [packet, property, values @ ..] = given.as_slice() else { continue };
            let (packet, property) = (packet.to_ascii_lowercase(), property.to_ascii_lowercase());
            let value = Value::new(&property, values)?;
            let known = match (packet.as_str(), tool) {
                ("connect", _) => said.put_connect(&value)?,
                ("will", _) => said.put_will(&value)?,
                ("disconnect", _) => said.put_disconnect(&value)?,
                ("publish", Tool::Publish) => {
                    put_message(&mut said.publish, &value)? || said.put_alias(&value)?
                }
                ("subscribe", Tool::Subscribe) => said.put_subscribe(&value)?,
                ("unsubscribe", Tool::Subscribe) => value.user(&mut said.unsubscribe),
                _ => return Err(PropertyError::Packet(packet, tool)),
            };
            if !known {
                return Err(PropertyError::Unknown { packet, property });
            }
        }
        Ok(said)
    }
}

impl Said {
    fn put_connect(&mut self, value: &Value<'_>) -> Put {
        let connect = &mut self.connect;
        match value.property {
            "authentication-data" => value.bytes(&mut connect.authentication_data),
            "authentication-method" => value.text(&mut connect.authentication_method),
            "maximum-packet-size" => {
                value.number(&mut connect.packet_bytes_max, "a number of bytes above 0", 1..)
            }
            "receive-maximum" => value.number(&mut connect.receive_maximum, "a number from 1 to 65535", 1..),
            "request-problem-information" => value.flag(&mut connect.request_problem_information),
            "request-response-information" => value.flag(&mut connect.request_response_information),
            "session-expiry-interval" => {
                value.number(&mut self.session_expiry_secs, "a number of seconds", 0..)
            }
            "topic-alias-maximum" => {
                value.number(&mut connect.topic_aliases_max, "a number from 0 to 65535", 0..)
            }
            _ => Ok(value.user(&mut connect.user_properties)),
        }
    }

    fn put_will(&mut self, value: &Value<'_>) -> Put {
        match value.property {
            "will-delay-interval" => value.number(&mut self.will_delay_secs, "a number of seconds", 0..),
            _ => put_message(&mut self.will, value),
        }
    }

    fn put_alias(&mut self, value: &Value<'_>) -> Put {
        match value.property {
            "topic-alias" => value.number(&mut self.publish.topic_alias, "a number from 1 to 65535", 1..),
            _ => Ok(false),
        }
    }

    fn put_subscribe(&mut self, value: &Value<'_>) -> Put {
        match value.property {
            "subscription-identifier" => {
                value.number(&mut self.subscription_id, "a number from 1 to 268435455", 1..=268_435_455)
            }
            _ => Ok(value.user(&mut self.subscribe)),
        }
    }

    fn put_disconnect(&mut self, value: &Value<'_>) -> Put {
        let farewell = &mut self.farewell;
        match value.property {
            "session-expiry-interval" => {
                value.number(&mut farewell.session_expiry_secs, "a number of seconds", 0..)
            }
            "reason-string" => value.text(&mut farewell.reason_string),
            _ => Ok(value.user(&mut farewell.user_properties)),
        }
    }
}

/// The properties of a message, published or left as a will.
fn put_message(message: &mut Properties, value: &Value<'_>) -> Put {
    match value.property {
        "content-type" => value.text(&mut message.content_type),
        "correlation-data" => value.bytes(&mut message.correlation_data),
        "message-expiry-interval" => {
            value.number(&mut message.message_expiry_secs, "a number of seconds", 0..)
        }
        "payload-format-indicator" => value.flag(&mut message.payload_is_utf8),
        "response-topic" => value.text(&mut message.response_topic),
        _ => Ok(value.user(&mut message.user_properties)),
    }
}

/// One property as it was given.
struct Value<'a> {
    property: &'a str,
    /// The name, for a user property.
    name: Option<&'a str>,
    value: &'a str,
}

impl<'a> Value<'a> {
    fn new(property: &'a str, values: &'a [String]) -> Result<Value<'a>, PropertyError> {
        match (property, values) {
            ("user-property", [name, value]) => Ok(Value { property, name: Some(name), value }),
            ("user-property", _) => Err(PropertyError::Count { property: property.to_owned(), wanted: 2 }),
            (_, [value]) => Ok(Value { property, name: None, value }),
            _ => Err(PropertyError::Count { property: property.to_owned(), wanted: 1 }),
        }
    }

    fn user(&self, pairs: &mut Vec<(String, String)>) -> bool {
        let Some(name) = self.name else { return false };
        pairs.push((name.to_owned(), self.value.to_owned()));
        true
    }

    fn put<T>(&self, slot: &mut Option<T>, value: T) -> Put {
        if slot.replace(value).is_some() {
            return Err(PropertyError::Twice(self.property.to_owned()));
        }
        Ok(true)
    }

    fn text(&self, slot: &mut Option<String>) -> Put {
        self.put(slot, self.value.to_owned())
    }

    fn bytes(&self, slot: &mut Option<Vec<u8>>) -> Put {
        self.put(slot, self.value.as_bytes().to_vec())
    }

    fn flag(&self, slot: &mut Option<bool>) -> Put {
        match self.value {
            "0" => self.put(slot, false),
            "1" => self.put(slot, true),
            _ => Err(self.wrong("0 or 1")),
        }
    }

    fn number<T>(
        &self,
        slot: &mut Option<T>,
        wanted: &'static str,
        range: impl std::ops::RangeBounds<T>,
    ) -> Put
    where
        T: std::str::FromStr + PartialOrd,
    {
        match self.value.parse() {
            Ok(number) if range.contains(&number) => self.put(slot, number),
            _ => Err(self.wrong(wanted)),
        }
    }

    fn wrong(&self, wanted: &'static str) -> PropertyError {
        PropertyError::Value { property: self.property.to_owned(), value: self.value.to_owned(), wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str], tool: Tool) -> Result<Said, PropertyError> {
        let given = given.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
        PropertyArgs { given }.read(tool)
    }

    #[test]
    fn every_property_of_every_packet() {
        let said = read(
            &[
                "connect authentication-method M",
                "connect authentication-data d",
                "connect maximum-packet-size 100",
                "connect receive-maximum 2",
                "connect request-problem-information 0",
                "connect request-response-information 1",
                "connect session-expiry-interval 3",
                "connect topic-alias-maximum 4",
                "connect user-property a b",
                "will content-type c",
                "will correlation-data d",
                "will message-expiry-interval 5",
                "will payload-format-indicator 1",
                "will response-topic r",
                "will user-property a b",
                "will will-delay-interval 6",
                "PUBLISH Content-Type c",
                "publish topic-alias 7",
                "publish user-property a 1",
                "publish user-property a 2",
                "disconnect session-expiry-interval 8",
                "disconnect reason-string why",
                "disconnect user-property a b",
            ],
            Tool::Publish,
        )
        .unwrap();
        let pair = |value: &str| ("a".to_owned(), value.to_owned());
        assert_eq!(said.connect.authentication_method.as_deref(), Some("M"));
        assert_eq!(said.connect.authentication_data.as_deref(), Some(&b"d"[..]));
        assert_eq!((said.connect.packet_bytes_max, said.connect.receive_maximum), (Some(100), Some(2)));
        assert_eq!(said.connect.request_problem_information, Some(false));
        assert_eq!(said.connect.request_response_information, Some(true));
        assert_eq!((said.session_expiry_secs, said.connect.topic_aliases_max), (Some(3), Some(4)));
        assert_eq!(said.connect.user_properties, [pair("b")]);
        assert_eq!((said.will.message_expiry_secs, said.will_delay_secs), (Some(5), Some(6)));
        assert_eq!((said.will.payload_is_utf8, said.will.response_topic.as_deref()), (Some(true), Some("r")));
        assert_eq!((said.publish.content_type.as_deref(), said.publish.topic_alias), (Some("c"), Some(7)));
        assert_eq!(said.publish.user_properties, [pair("1"), pair("2")]);
        assert_eq!(said.farewell.session_expiry_secs, Some(8));
        assert_eq!(said.farewell.reason_string.as_deref(), Some("why"));
        let said =
            read(&["subscribe subscription-identifier 9", "unsubscribe user-property a b"], Tool::Subscribe)
                .unwrap();
        assert_eq!((said.subscription_id, said.unsubscribe), (Some(9), vec![pair("b")]));
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        let check = |given: &[&str], tool, part: &str| {
            let error = read(given, tool).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&["subscribe user-property a b"], Tool::Publish, "connect, will, publish and disconnect");
        check(&["publish content-type c"], Tool::Subscribe, "subscribe, unsubscribe");
        check(&["puback reason-string c"], Tool::Subscribe, "this program sends");
        check(&["publish subscription-identifier 1"], Tool::Publish, "no such property");
        check(&["will topic-alias 1"], Tool::Publish, "no such property");
        check(&["connect receive-maximum 0"], Tool::Publish, "from 1 to 65535");
        check(&["connect receive-maximum 65536"], Tool::Publish, "from 1 to 65535");
        check(&["publish payload-format-indicator 2"], Tool::Publish, "0 or 1");
        check(&["publish user-property a"], Tool::Publish, "takes 2 values");
        check(&["publish content-type a b"], Tool::Publish, "takes 1 value");
        check(&["publish content-type a", "publish content-type b"], Tool::Publish, "given once");
        check(&["subscribe subscription-identifier 268435456"], Tool::Subscribe, "268435455");
    }
}
