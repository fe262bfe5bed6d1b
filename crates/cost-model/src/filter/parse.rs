//! The language of the parameter `filter`.

use winnow::{
    Parser,
    combinator::{alt, eof, opt},
    stream::{Stateful, Stream},
    token::{take_till, take_while},
};

use super::{
    Comparison, Filter, FilterField, Op, Shape, Term,
    fault::{Fault, Takes},
};
use crate::{ParameterError, naming::sanitize_label_name};

/// The longest text of a filter, in bytes, as sent and as [`Display`](std::fmt::Display) writes it. It bounds the number
/// of conditions too, to some two thousand.
pub const MAX_LENGTH: usize = 16 * 1024;
/// How many parentheses may be inside each other.
pub const MAX_DEPTH: usize = 64;

pub(super) const PARAMETER: &str = "filter";
const SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// Which values are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leniency {
    /// Only those in double quotes, as the reference does.
    #[default]
    Strict,
    /// A bare word too, up to a comma, `+`, `|`, `)` or space.
    Lenient,
}

impl<F: FilterField> Filter<F> {
    /// Reads the parameter `filter`, of which an empty text is no condition.
    ///
    /// Beyond the reference, space between two conditions means `+`, since an unescaped `+` arrives as a space; what
    /// follows it may be bare words, as the reference never looks at it. And two double quotes inside a value stand for one, which the reference has no way to write.
    ///
    /// # Errors
    /// [`ParameterError::Syntax`] for a text that is no filter, [`ParameterError::TooLong`] beyond [`MAX_LENGTH`].
    pub fn parse(text: &str, leniency: Leniency) -> Result<Self, ParameterError> {
        check_length(PARAMETER, text.len())?;
        let mut input = Input {
            input: text,
            state: State { leniency, depth: 0 },
        };
        let filter: Self = whole(&mut input).map_err(|fault| fault.into_error::<F>(text))?;
        check_length(PARAMETER, filter.to_string().len())?;
        Ok(filter)
    }
}

pub(super) fn check_length(parameter: &'static str, length: usize) -> Result<(), ParameterError> {
    if length > MAX_LENGTH {
        return Err(ParameterError::TooLong {
            parameter,
            length,
            limit: MAX_LENGTH,
        });
    }
    Ok(())
}

pub(super) type Input<'t> = Stateful<&'t str, State>;
type Parsed<T> = Result<T, Fault>;

#[derive(Debug)]
pub(super) struct State {
    leniency: Leniency,
    depth: usize,
}

fn whole<F: FilterField>(input: &mut Input<'_>) -> Parsed<Filter<F>> {
    skip_spaces(input)?;
    if input.is_empty() {
        return Ok(Filter::All);
    }
    let filter = group(input)?;
    eof.context(Takes::JointOrEnd).parse_next(input)?;
    Ok(filter)
}

/// Conditions with the same joint between them, up to what is neither.
fn group<F: FilterField>(input: &mut Input<'_>) -> Parsed<Filter<F>> {
    let mut filter = operand(input)?;
    let mut first = None;
    while let Some(joint) = joint(input, first)? {
        first = Some(joint);
        let next = operand(input)?;
        filter = match joint {
            Joint::And => filter.and(next),
            Joint::Or => filter.or(next),
        };
    }
    Ok(filter)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    And,
    Or,
}

/// What joins the condition before with one that follows, which must be what `first` was.
fn joint(input: &mut Input<'_>, first: Option<Joint>) -> Parsed<Option<Joint>> {
    let spaced = !skip_spaces(input)?.is_empty();
    let joint = match input.input.chars().next() {
        Some('+') => Joint::And,
        Some('|') => Joint::Or,
        Some(letter) if spaced && (letter == '(' || is_of_name(letter)) => {
            // The reference ignores what follows a space, so clients that leave quotes out there never noticed.
            input.state.leniency = Leniency::Lenient;
            Joint::And
        }
        _ => return Ok(None),
    };
    match first {
        Some(first) if first != joint => Err(Fault::at(input, Takes::Only(first))),
        _ => {
            opt(alt(("+", "|"))).parse_next(input)?;
            Ok(Some(joint))
        }
    }
}

fn operand<F: FilterField>(input: &mut Input<'_>) -> Parsed<Filter<F>> {
    skip_spaces(input)?;
    if !input.input.starts_with('(') {
        return term(input).map(Filter::Term);
    }
    if input.state.depth == MAX_DEPTH {
        return Err(Fault::at(input, Takes::LessDepth));
    }
    input.state.depth += 1;
    "(".parse_next(input)?;
    let filter = group(input)?;
    ")".context(Takes::JointOrClose).parse_next(input)?;
    input.state.depth -= 1;
    Ok(filter)
}

fn term<F: FilterField>(input: &mut Input<'_>) -> Parsed<Term<F>> {
    let field = field(input)?;
    skip_spaces(input)?;
    let op = op.context(Takes::Operator).parse_next(input)?;
    let mut values = Vec::new();
    loop {
        skip_spaces(input)?;
        values.push(value(input)?);
        // Space after a value may be all that joins it to the next condition.
        let after_value = input.checkpoint();
        skip_spaces(input)?;
        if opt(",").parse_next(input)?.is_none() {
            input.reset(&after_value);
            break;
        }
    }
    Term::new(field, op, values).ok_or_else(|| Fault::at(input, Takes::QuotedValue))
}

fn field<F: FilterField>(input: &mut Input<'_>) -> Parsed<F> {
    let field = take_while(1.., is_of_name)
        .verify_map(F::named)
        .context(Takes::Field)
        .parse_next(input)?;
    if field.shape() != Shape::Names {
        return Ok(field);
    }
    skip_spaces(input)?;
    if opt("[").parse_next(input)?.is_none() {
        return Ok(field);
    }
    let name = sanitize_label_name(take_till(0.., ']').parse_next(input)?);
    "]".context(Takes::Bracket).parse_next(input)?;
    // No name in the brackets is as good as no brackets, in the reference too.
    match field.under(&name) {
        Some(value) if !name.is_empty() => Ok(value),
        _ => Ok(field),
    }
}

fn op(input: &mut Input<'_>) -> Parsed<Op> {
    let negated = opt("!").parse_next(input)?.is_some();
    let comparison = alt((
        ":".value(Comparison::Equals),
        "~:".value(Comparison::Contains),
        "<~:".value(Comparison::StartsWith),
        "~>:".value(Comparison::EndsWith),
    ))
    .parse_next(input)?;
    Ok(Op { comparison, negated })
}

fn value(input: &mut Input<'_>) -> Parsed<String> {
    if opt('"').parse_next(input)?.is_none() {
        return match input.state.leniency {
            Leniency::Strict => Err(Fault::at(input, Takes::QuotedValue)),
            Leniency::Lenient => take_till(1.., ends_bare_word)
                .context(Takes::Value)
                .map(str::to_owned)
                .parse_next(input),
        };
    }
    let mut value = String::new();
    loop {
        value.push_str(take_till(0.., '"').parse_next(input)?);
        '"'.context(Takes::Quote).parse_next(input)?;
        if opt('"').parse_next(input)?.is_none() {
            return Ok(value);
        }
        value.push('"');
    }
}

fn skip_spaces<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    take_while(0.., SPACES).parse_next(input)
}

pub(super) fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '-' || letter == '_'
}

pub(super) fn ends_bare_word(letter: char) -> bool {
    ",+|)".contains(letter) || SPACES.contains(&letter)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::{super::*, *};

    fn strict(text: &str) -> Result<String, ParameterError> {
        AllocationFilter::parse(text, Leniency::Strict).map(|filter| filter.to_string())
    }

    fn lenient(text: &str) -> Result<String, ParameterError> {
        AllocationFilter::parse(text, Leniency::Lenient).map(|filter| filter.to_string())
    }

    #[test]
    fn reads_what_the_reference_reads() {
        let cases = [
            ("", ""),
            (" \t\r\n", ""),
            (r#"cluster:"a""#, r#"cluster:"a""#),
            (r#"node!:"a","b""#, r#"node!:"a","b""#),
            (r#"namespace ~: "a" , "b" "#, r#"namespace~:"a","b""#),
            (r#"controllerName!~:"a""#, r#"controllerName!~:"a""#),
            (r#"controllerKind<~:"a""#, r#"controllerKind<~:"a""#),
            (r#"pod!<~:"a""#, r#"pod!<~:"a""#),
            (r#"container~>:"a""#, r#"container~>:"a""#),
            (r#"provider!~>:"a""#, r#"provider!~>:"a""#),
            (r#"providerID:"a""#, r#"provider:"a""#),
            (r#"team:"a\","__unallocated__""#, r#"team:"a\","""#),
            (r#"pod:"a+b|(c)[d]!:ü ""#, r#"pod:"a+b|(c)[d]!:ü ""#),
            (r#"services~:"a"+services!~:"b""#, r#"services:"a"+services!:"b""#),
            (
                r#"label:"a.b/c"|annotation!~:"d-e""#,
                r#"label:"a_b_c"|annotation!:"d_e""#,
            ),
            (r#"label [a.b/c] <~: "d.e""#, r#"label[a_b_c]<~:"d.e""#),
            (r#"label[]:"a""#, r#"label:"a""#),
            (r#"((pod:"a"))"#, r#"pod:"a""#),
            (
                r#" ( pod:"a" | ( pod:"b" ) ) + (node:"c"|node:"d")"#,
                r#"(pod:"a"|pod:"b")+(node:"c"|node:"d")"#,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(strict(text).unwrap(), expected, "{text}");
            assert_eq!(lenient(text).unwrap(), expected, "{text}");
        }
        let types = AssetFilter::parse(r#"assetType:"Disk"+type!:"NODE""#, Leniency::Strict).unwrap();
        assert_eq!(types.to_string(), r#"assetType:"disk"+assetType!:"node""#);
    }

    #[test]
    fn reads_more_than_the_reference() {
        let cases = [
            (
                r#"pod:"a" node:"b" (pod:"c"|pod:"d") "#,
                r#"pod:"a"+node:"b"+(pod:"c"|pod:"d")"#,
            ),
            (r#"pod:"a" + node:"b" pod:"c""#, r#"pod:"a"+node:"b"+pod:"c""#),
            (r#"annotation[a]:"{""b"":""""}""#, r#"annotation[a]:"{""b"":""""}""#),
        ];
        for (text, expected) in cases {
            assert_eq!(strict(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn bare_words_are_read_only_if_asked_to() {
        let cases = [
            ("namespace:web", r#"namespace:"web""#),
            (
                "label[app.x]:a-1.b/c+controllerKind:deployment",
                r#"label[app_x]:"a-1.b/c"+controllerKind:"deployment""#,
            ),
            (
                "label[a]:b+node:c|pod:d",
                "parameter filter got '|' at character 18, where it takes another +, since + and | mix only with \
                 parentheses",
            ),
            (
                r#"(pod!:a,"b" ,c|pod:d)+node:e node:f"#,
                r#"(pod!:"a","b","c"|pod:"d")+node:"e"+node:"f""#,
            ),
            (r#"pod:a"b"#, r#"pod:"a""b""#),
            (
                "pod:+",
                "parameter filter got '+' at character 5, where it takes a value",
            ),
        ];
        for (text, expected) in cases {
            let got = lenient(text).unwrap_or_else(|error| error.to_string());
            assert_eq!(got, expected, "{text}");
            assert!(strict(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_say_where_what_and_what_is_allowed() {
        let field = format!("one of {}, or a parenthesis", AllocationField::TAKES);
        let operator = ":, ~:, <~: or ~>:, or one of these after an !";
        let value = "a value in double quotes, such as \"web\"";
        let quote = "the double quote that ends a value";
        let joint = "+ or |, or the end of the text";
        let end = "the end of the text";
        let cases: &[(&str, &str, usize, &str)] = &[
            ("namespace:web", "web without quotes", 11, value),
            ("namespace:web-1.x/y+pod:\"a\"", "web-1.x/y without quotes", 11, value),
            ("nosuch:\"x\"", "\"nosuch\"", 1, &field),
            ("Namespace:\"x\"", "\"Namespace\"", 1, &field),
            ("pod:\"ü\"+größe:\"x\"", "\"größe\"", 9, &field),
            ("pod:\"a\"+", end, 9, &field),
            ("+pod:\"a\"", "'+'", 1, &field),
            ("()", "')'", 2, &field),
            ("(", end, 2, &field),
            ("pod", end, 4, operator),
            ("pod=\"a\"", "'='", 4, operator),
            ("pod!\"a\"", "'\"'", 5, operator),
            ("pod[a]:\"b\"", "'['", 4, operator),
            ("label[a:\"b\"", end, 12, "the ] after a name"),
            ("pod:", end, 5, value),
            ("pod:'a'", "'a' without quotes", 5, value),
            ("pod:\"a\",", end, 9, value),
            ("pod:\"a\",b", "b without quotes", 9, value),
            ("pod:,", "','", 5, value),
            ("pod:\"a", end, 7, quote),
            ("pod:\"a\"\"", end, 9, quote),
            ("pod:\"a\"node:\"b\"", "\"node\"", 8, joint),
            ("pod:\"a\")", "')'", 8, joint),
            ("pod:\"a\" \"b\"", "'\"'", 9, joint),
            ("(pod:\"a\"", end, 9, "+, | or )"),
            (
                "pod:\"a\"+pod:\"b\"|pod:\"c\"",
                "'|'",
                16,
                "another +, since + and | mix only with parentheses",
            ),
            (
                "(pod:\"a\"|pod:\"b\" pod:\"c\")",
                "\"pod\"",
                18,
                "another |, since + and | mix only with parentheses",
            ),
        ];
        for (text, got, position, takes) in cases {
            assert_eq!(
                strict(text).unwrap_err().to_string(),
                format!("parameter filter got {got} at character {position}, where it takes {takes}"),
                "{text}"
            );
        }
    }

    #[test]
    fn size_is_bounded() {
        let nested = |depth: usize| format!("{}pod:\"a\"{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(strict(&nested(MAX_DEPTH)).unwrap(), "pod:\"a\"");
        assert_eq!(
            strict(&nested(MAX_DEPTH + 1)).unwrap_err().to_string(),
            "parameter filter got '(' at character 65, where it takes no more than 64 parentheses inside each other"
        );
        assert_eq!(strict(&"(pod:\"a\")+".repeat(80)).unwrap_err().parameter(), "filter");
        assert_eq!(
            strict(&"(".repeat(MAX_LENGTH + 1)).unwrap_err().to_string(),
            "parameter filter got 16385 bytes; it takes at most 16384"
        );
        let bare = format!("pod:{}", "a,".repeat(MAX_LENGTH / 2 - 8));
        assert!(matches!(
            lenient(bare.trim_end_matches(',')),
            Err(ParameterError::TooLong { .. })
        ));
        let word = "x".repeat(100);
        let message = strict(&word).unwrap_err().to_string();
        assert!(message.contains(&format!("got \"{}\" at", "x".repeat(40))), "{message}");
    }

    #[test]
    fn golden_questions_are_read_as_the_reference_does() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/queries.json");
        let questions: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
        let mut read = 0;
        for question in &questions {
            let Some(text) = question["params"]["filter"].as_str() else {
                continue;
            };
            let written = if question["path"] == "/model/assets" {
                AssetFilter::parse(text, Leniency::Strict).map(|filter| filter.to_string())
            } else {
                strict(text)
            };
            if question["id"].as_str().unwrap().contains("-bad") {
                written.unwrap_err();
            } else {
                assert_eq!(written.unwrap(), text);
                read += 1;
            }
        }
        assert!(read > 10, "only {read} filters found");
    }

    fn filters<F: FilterField + std::fmt::Debug>() -> impl Strategy<Value = Filter<F>> {
        let fields = F::TAKES.split(", ").filter_map(|name| match name.split_once('[') {
            Some((map, _)) => F::named(map)?.under("a_b"),
            None => F::named(name),
        });
        let comparisons = [
            Comparison::Equals,
            Comparison::Contains,
            Comparison::StartsWith,
            Comparison::EndsWith,
        ];
        let op = (proptest::sample::select(comparisons.to_vec()), any::<bool>())
            .prop_map(|(comparison, negated)| Op { comparison, negated });
        let value = prop_oneof![any::<String>(), "[\"\\\\ ,a]{0,4}", Just("__UNallocated__".to_owned())];
        let values = proptest::collection::vec(value, 1..4);
        let term = (proptest::sample::select(fields.collect::<Vec<_>>()), op, values)
            .prop_map(|(field, op, values)| Filter::Term(Term::new(field, op, values).unwrap()));
        term.prop_recursive(4, 24, 4, |inner| {
            (proptest::collection::vec(inner, 2..5), any::<bool>()).prop_map(|(parts, all)| {
                let join = if all { Filter::and } else { Filter::or };
                parts.into_iter().reduce(join).unwrap()
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(allocations in filters::<AllocationField>(), assets in filters::<AssetField>()) {
            for leniency in [Leniency::Strict, Leniency::Lenient] {
                let text = allocations.to_string();
                prop_assert_eq!(&Filter::parse(&text, leniency).unwrap(), &allocations, "{}", text);
                let text = assets.to_string();
                prop_assert_eq!(&Filter::parse(&text, leniency).unwrap(), &assets, "{}", text);
            }
        }

        #[test]
        fn any_text_is_a_filter_or_an_error(
            text in prop_oneof![
                any::<String>(),
                "(pod|label|team|x|[:!~<>\\[\\]()+|,\" ü]){0,20}",
                "(\\(|\\)|pod:\"a\"|[+| ]|label\\[b\\]!~>:c){0,12}",
            ],
        ) {
            for leniency in [Leniency::Strict, Leniency::Lenient] {
                if let Ok(filter) = AllocationFilter::parse(&text, leniency) {
                    prop_assert_eq!(&Filter::parse(&filter.to_string(), Leniency::Strict).unwrap(), &filter);
                }
                let _ = AssetFilter::parse(&text, leniency);
            }
        }
    }
}
