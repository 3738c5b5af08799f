//! What processes used between the last look at them and their end: the kernel adds it to the times of the parent that
//! waits for them.
//!
//! Handles clock ticks and groups; `tracker` keeps the parents.

use std::collections::BTreeMap;

use super::groups::GroupId;

/// CPU time in user and in kernel mode, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTicks {
    pub(super) user: u64,
    pub(super) system: u64,
}

impl CpuTicks {
    pub(super) fn plus(self, other: CpuTicks) -> CpuTicks {
        CpuTicks { user: self.user.saturating_add(other.user), system: self.system.saturating_add(other.system) }
    }

    /// What is more than `other`, in each mode.
    pub(super) fn beyond(self, other: CpuTicks) -> CpuTicks {
        CpuTicks { user: self.user.saturating_sub(other.user), system: self.system.saturating_sub(other.system) }
    }

    fn sum(self) -> u64 {
        self.user.saturating_add(self.system)
    }
}

/// A process that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) parent: u32,
    pub(super) group: GroupId,
    /// What is known of its time, and of its children's.
    pub(super) known: CpuTicks,
    /// Whether its parent has been looked at since without having waited for it.
    pub(super) is_late: bool,
}

/// Shares out what parents got from children that have ended: what exceeds the time that was known of them belongs to
/// their group. Where children of several groups have ended at once the owner is unknown: it is left out.
///
/// `gained` has what each parent got since the last call, and is emptied. Children that are not waited for yet stay in
/// `ended`, once.
pub(super) fn share_out(ended: &mut Vec<Ended>, gained: &mut BTreeMap<u32, CpuTicks>) -> Vec<(GroupId, CpuTicks)> {
    let mut shares = Vec::new();
    let mut families: BTreeMap<u32, Vec<Ended>> = BTreeMap::new();
    for child in ended.drain(..) {
        families.entry(child.parent).or_default().push(child);
    }
    let mut kept = BTreeMap::new();
    for (parent, children) in families {
        let got = gained.get(&parent).copied().unwrap_or_default();
        let known = children.iter().fold(CpuTicks::default(), |sum, child| sum.plus(child.known));
        // The kernel rounds each sum: two ticks less are no sign that a child is still to come.
        if got.sum().saturating_add(2) < known.sum() {
            let waiting = children.iter().filter(|child| !child.is_late).map(|child| Ended { is_late: true, ..*child });
            ended.extend(waiting);
            kept.insert(parent, got);
        } else if children.iter().all(|child| child.group == children[0].group) {
            shares.push((children[0].group, got.beyond(known)));
        }
    }
    *gained = kept;
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ticks(user: u64, system: u64) -> CpuTicks {
        CpuTicks { user, system }
    }

    fn child(parent: u32, group: GroupId, known: CpuTicks) -> Ended {
        Ended { parent, group, known, is_late: false }
    }

    #[test]
    fn what_a_parent_got_beyond_what_was_known_is_the_childs() {
        let mut ended = vec![child(1, 7, ticks(100, 10)), child(1, 7, ticks(5, 0))];
        let mut gained = [(1, ticks(250, 12)), (2, ticks(9, 9))].into();
        assert_eq!(share_out(&mut ended, &mut gained), [(7, ticks(145, 2))]);
        assert!(ended.is_empty() && gained.is_empty(), "what comes of strangers is nobody's");
    }

    #[test]
    fn a_child_that_is_not_waited_for_yet_is_asked_for_once_more() {
        let mut ended = vec![child(1, 7, ticks(100, 10))];
        let mut gained = BTreeMap::new();
        assert_eq!(share_out(&mut ended, &mut gained), []);
        gained.insert(1, ticks(130, 10));
        assert_eq!(share_out(&mut ended, &mut gained), [(7, ticks(30, 0))]);
        let mut ended = vec![child(1, 7, ticks(100, 10))];
        for _ in 0..2 {
            assert_eq!(share_out(&mut ended, &mut BTreeMap::new()), []);
        }
        assert!(ended.is_empty(), "its parent has ended too, or ignores it");
    }

    #[test]
    fn where_several_groups_ended_nothing_is_guessed() {
        let mut ended = vec![child(1, 7, ticks(1, 0)), child(1, 8, ticks(1, 0))];
        assert_eq!(share_out(&mut ended, &mut [(1, ticks(50, 0))].into()), []);
        assert!(ended.is_empty());
    }
}
