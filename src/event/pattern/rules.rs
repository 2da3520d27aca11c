//! Turns a pattern's JSON into rules: what each key wants, and where one of several will do. Pure.

use super::expression::{self, OPERATORS};
use super::json::{Kind, Member, Node};
use super::matcher::Matcher;
use super::{Dialect, PatternError};

/// What one key wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    /// The keys from the top, joined with dots; a dot within a key counts as nesting.
    pub path: String,
    /// How many objects deep the key is written, from 1.
    pub depth: usize,
    /// Any of these will do.
    pub any: Vec<Matcher>,
    /// Whether a missing key is one of the things that will do.
    pub optional: bool,
    /// The array as written, without blanks, for people.
    pub wants: String,
}

/// Something that must hold; a list of rules is met when all of them are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// The index of a leaf.
    Leaf(usize),
    Or {
        path: String,
        branches: Vec<Vec<Rule>>,
    },
}

/// The rules of a pattern and the leaves they refer to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    pub rules: Vec<Rule>,
    pub leaves: Vec<Leaf>,
}

/// Every way to satisfy a pattern, each a list of leaves of which all must hold. Where two are for one path, the
/// later one alone counts; that happens when an alternative names a key that stands beside its `$or` as well.
pub(super) type Ways = Vec<Vec<usize>>;

const MAX_KEYS: usize = 5;
const MAX_COMBINATIONS: usize = 150;
const MAX_WAYS: usize = 1000;

/// Reads the rules of a pattern and checks the limits of the dialect.
pub(super) fn read(text: &str, root: &Node, dialect: Dialect) -> Result<(Rules, Ways), PatternError> {
    let Kind::Object(members) = &root.kind else {
        return refuse(root.at, "Filter is not an object");
    };
    let sns = dialect != Dialect::EventBridge;
    let mut reader = Reader { text, dialect, leaves: Vec::new() };
    let rules = match members.as_slice() {
        // An SNS policy without keys filters nothing.
        [] if sns => Vec::new(),
        _ => reader.object(root, members, Place { path: "", depth: 1 })?,
    };
    let rules = Rules { rules, leaves: reader.leaves };
    if sns {
        check_keys(members)?;
    }
    let too_complex =
        if sns { "Filter policy is too complex" } else { "Event pattern has more than 1000 combinations" };
    let ways = match rules.ways(&rules.rules) {
        Some(ways) if !sns || combinations(&rules, &ways) <= MAX_COMBINATIONS => ways,
        _ => return refuse(root.at, too_complex),
    };
    Ok((rules, ways))
}

impl Rules {
    /// The ways to satisfy these rules; None if there are too many.
    pub fn ways(&self, rules: &[Rule]) -> Option<Ways> {
        let mut ways: Ways = vec![Vec::new()];
        for rule in rules {
            match rule {
                Rule::Leaf(leaf) => ways.iter_mut().for_each(|way| way.push(*leaf)),
                Rule::Or { branches, .. } => {
                    let mut choices = Vec::new();
                    for branch in branches {
                        choices.extend(self.ways(branch)?);
                    }
                    if choices.len().saturating_mul(ways.len()) > MAX_WAYS {
                        return None;
                    }
                    ways = each_with_each(&ways, &choices);
                }
            }
        }
        Some(ways)
    }
}

fn each_with_each(ways: &Ways, choices: &Ways) -> Ways {
    let both =
        |choice: &Vec<usize>| ways.iter().map(|way| [way.as_slice(), choice].concat()).collect::<Ways>();
    choices.iter().flat_map(both).collect()
}

fn check_keys(members: &[Member]) -> Result<(), PatternError> {
    let mut keys: Vec<&str> = Vec::new();
    for member in members {
        if !keys.contains(&member.key.as_str()) {
            keys.push(&member.key);
        }
        if keys.len() > MAX_KEYS {
            return refuse(member.at, "Filter policy can not have more than 5 keys");
        }
    }
    Ok(())
}

/// As SNS counts them: a way counts the product of values times depth over its keys.
fn combinations(rules: &Rules, ways: &Ways) -> usize {
    let weight = |leaf: &usize| rules.leaves[*leaf].any.len().saturating_mul(rules.leaves[*leaf].depth);
    let product = |way: &Vec<usize>| way.iter().map(weight).fold(1, usize::saturating_mul);
    ways.iter().map(product).fold(0, usize::saturating_add)
}

/// Where in the pattern an object stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    path: &'p str,
    depth: usize,
}

impl Place<'_> {
    fn key(self, key: &str) -> String {
        if self.depth == 1 { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

struct Reader<'t> {
    text: &'t str,
    dialect: Dialect,
    leaves: Vec<Leaf>,
}

impl Reader<'_> {
    fn object(&mut self, node: &Node, members: &[Member], place: Place) -> Result<Vec<Rule>, PatternError> {
        if members.is_empty() {
            return refuse(node.at, "Empty objects are not allowed");
        }
        let mut rules = Vec::new();
        for member in members {
            if let Some(branches) = branches(member) {
                let read = |(node, members): (&Node, &[Member])| self.object(node, members, place);
                let branches = branches.into_iter().map(read).collect::<Result<_, _>>()?;
                rules.push(Rule::Or { path: place.key("$or"), branches });
                continue;
            }
            let path = place.key(&member.key);
            match &member.value.kind {
                Kind::Array(items) => {
                    let leaf = self.leaf(path, place.depth, (&member.value, items))?;
                    self.replace(&mut rules, leaf);
                }
                Kind::Object(_) if self.dialect == Dialect::SnsAttributes => {
                    let reason =
                        "Filter policy scope MessageAttributes does not support nested filter policy";
                    return refuse(member.value.at, reason);
                }
                Kind::Object(inner) => {
                    let place = Place { path: &path, depth: place.depth + 1 };
                    for rule in self.object(&member.value, inner, place)? {
                        self.replace(&mut rules, rule);
                    }
                }
                _ => {
                    let reason = format!("\"{}\" must be an object or an array", member.key);
                    return refuse(member.value.at, &reason);
                }
            }
        }
        Ok(rules)
    }

    /// Adds a rule; of two for the same path the last one counts.
    fn replace(&self, rules: &mut Vec<Rule>, rule: Rule) {
        if let Rule::Leaf(new) = rule {
            let path = &self.leaves[new].path;
            rules.retain(|old| !matches!(old, Rule::Leaf(old) if self.leaves[*old].path == *path));
        }
        rules.push(rule);
    }

    fn leaf(
        &mut self,
        path: String,
        depth: usize,
        (array, items): (&Node, &[Node]),
    ) -> Result<Rule, PatternError> {
        let read = |item| expression::read(item, self.dialect);
        let any = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if any.is_empty() {
            return refuse(array.end.saturating_sub(1), "Empty arrays are not allowed");
        }
        let optional = any.contains(&Matcher::Missing);
        let wants = compact(&self.text[array.at..array.end]);
        self.leaves.push(Leaf { path, depth, any, optional, wants });
        Ok(Rule::Leaf(self.leaves.len() - 1))
    }
}

/// The branches if this member is an alternative: `$or` with at least two objects, none of which looks like a
/// match expression. Any other `$or` is a key like all keys, as it was before AWS had alternatives.
fn branches(member: &Member) -> Option<Vec<(&Node, &[Member])>> {
    let items = match &member.value.kind {
        Kind::Array(items) if member.key == "$or" && items.len() >= 2 => items,
        _ => return None,
    };
    items.iter().map(branch).collect()
}

fn branch(node: &Node) -> Option<(&Node, &[Member])> {
    match &node.kind {
        Kind::Object(members) if !members.iter().any(|m| OPERATORS.contains(&m.key.as_str())) => {
            Some((node, members))
        }
        _ => None,
    }
}

/// JSON text without the blanks between its tokens.
fn compact(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |c: &char| {
        let blank = !inside && matches!(c, ' ' | '\t' | '\r' | '\n');
        if *c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && *c == '\\' && !escaped;
        !blank
    };
    text.chars().filter(keep).collect()
}

fn refuse<T>(offset: usize, reason: &str) -> Result<T, PatternError> {
    Err(PatternError { reason: reason.to_owned(), offset })
}
