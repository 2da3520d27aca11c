//! The lines in which something waits or runs, by target. A wire for which there is nothing to do has no line. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::line::Line;
use crate::arn::Arn;
use crate::wire::Wire;

/// All lines. Few targets have any, and few of those more than one.
#[derive(Default)]
pub(super) struct Lines {
    by_target: HashMap<Arn, Vec<Line>>,
}

impl Lines {
    /// The lines of this target.
    pub(super) fn of(&self, target: &Arn) -> &[Line] {
        self.by_target.get(target).map(Vec::as_slice).unwrap_or_default()
    }
    /// The same, to change them.
    pub(super) fn of_mut(&mut self, target: &Arn) -> &mut [Line] {
        self.by_target.get_mut(target).map(Vec::as_mut_slice).unwrap_or_default()
    }
    /// The line of this wire, whose row has this number; a new one if it had nothing to do.
    pub(super) fn at(&mut self, wire: &Arc<Wire>, no: i64) -> &mut Line {
        let lines = self.by_target.entry(wire.target.clone()).or_default();
        let place = lines.iter().position(|line| line.no == no).unwrap_or_else(|| {
            lines.push(Line::new(wire.clone(), no));
            lines.len() - 1
        });
        &mut lines[place]
    }
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Line> {
        self.by_target.values().flatten()
    }
    /// The targets that have one.
    pub(super) fn targets(&self) -> Vec<Arn> {
        self.by_target.keys().cloned().collect()
    }
    /// Lets go of this target's lines that have nothing to do any more. True if it has no others.
    pub(super) fn drop_idle(&mut self, target: &Arn) -> bool {
        let Some(lines) = self.by_target.get_mut(target) else { return true };
        lines.retain(|line| !line.is_idle());
        let none = lines.is_empty();
        if none {
            self.by_target.remove(target);
        }
        none
    }
    /// Puts one in.
    pub(super) fn insert(&mut self, line: Line) {
        self.by_target.entry(line.wire.target.clone()).or_default().push(line);
    }
    /// Takes all of them out.
    pub(super) fn take_all(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.by_target).into_values().flatten().collect()
    }
}
