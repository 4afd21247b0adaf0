//! What may happen on a host, in any order: to its logs, to its clock, to the agent, to its disk.

use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;

/// Logs that are written. The last one's path is a symlink.
pub const STREAMS: usize = 3;
pub const LINKED: usize = 2;

/// How a truncated log's new content compares with what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    Nothing,
    Less,
    Equal,
    More,
}

/// What has become of a snapshot when the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing of it is on the disk.
    NotBegun,
    /// A part of it lies beside the others.
    Torn,
    /// Whole and synced, and not yet renamed.
    Written,
    /// Renamed.
    Renamed,
    /// And what waited for it is told, which no snapshot knows of.
    Told,
}

/// Something happens. A number chooses the log, another one how much.
#[derive(Clone, Debug)]
pub enum Action {
    /// Whole lines.
    Append(usize, usize),
    /// Lines of some KiB: more than one chunk.
    AppendLong(usize, usize),
    /// The first so many bytes of a line.
    AppendPartial(usize, usize),
    FinishPartial(usize),
    /// The writer's process died amid a line, or its disk was full: the next line is glued to it.
    Abandon(usize),
    /// A line longer than lines may be.
    AppendHuge(usize),
    /// Truncated under a writer without O_APPEND: its next line comes after a hole.
    Hole(usize),
    /// `L.1` → `L.2` …, `L` → `L.1`; the writer stays on it.
    Rotate(usize),
    /// The same, and an empty `L` is there at once.
    RotateCreate(usize),
    /// The writer opens `L` again.
    Reopen(usize),
    /// copytruncate's first half.
    Copy(usize),
    /// Its second half; or somebody's `> L`.
    Truncate(usize, Refill),
    Delete(usize),
    /// Deleted and made again at once, with more than there was: the filesystem may use the inode again.
    Recreate(usize),
    /// A copy that has more is moved over it.
    Replace(usize, usize),
    /// `gzip L.N`
    Compress(usize, usize),
    /// Another name that the pattern matches, too.
    HardLink(usize),
    Unlink(usize),
    /// The symlink leads to a new file from now on, or back to the one before.
    SymlinkSwap {
        back: bool,
    },
    /// Nobody may read it from now on; or, if that is so, all may.
    Chmod(usize),
    /// The directory is renamed, and made again.
    RenameDirectory,
    /// Time passes, and everything that is due is done.
    Poll(i64),
    /// One look, that may leave a backlog half read.
    Glance,
    /// The same after so long that everything is compared again: what is found then may not be read before it changes.
    Look(i64),
    /// A hint that something changed, true or not.
    Hint,
    /// The wall clock is set, by so many seconds.
    SetClock(i64),
    /// A snapshot is taken, and is durable.
    Save,
    /// A snapshot is taken, and the process dies when it has come so far.
    Crash(Step),
    /// It dies, whatever it has counted since its last snapshot.
    Kill,
    /// It ends well.
    Stop,
    Start,
    /// The newest snapshot is damaged on the disk.
    CorruptNewest(u16),
    /// A snapshot of a while ago is put back, and no other is left.
    RestoreOldSnapshot(usize),
    FillDisk,
    FreeDisk,
    /// The same configuration is taken over again.
    Reload,
    BlockSink,
    UnblockSink,
}

/// The host in the abstract: enough to know what makes sense.
#[derive(Clone, Debug)]
pub struct Abstract {
    pub up: bool,
    /// Durable snapshots since the newest one was damaged: with none, both generations are of before.
    pub sound: usize,
    full: bool,
}

pub struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Abstract;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<Abstract> {
        Just(Abstract { up: true, sound: 1, full: false }).boxed()
    }

    fn transitions(state: &Abstract) -> BoxedStrategy<Action> {
        let log = || 0..STREAMS;
        let refill = prop_oneof![
            Just(Refill::Nothing),
            Just(Refill::Less),
            Just(Refill::Equal),
            Just(Refill::More),
            Just(Refill::More)
        ];
        let files = prop_oneof![
            12 => (log(), 1usize..8).prop_map(|(s, n)| Action::Append(s, n)),
            2 => (log(), 10usize..60).prop_map(|(s, n)| Action::AppendLong(s, n)),
            4 => (log(), 1usize..60).prop_map(|(s, n)| Action::AppendPartial(s, n)),
            3 => log().prop_map(Action::FinishPartial),
            1 => log().prop_map(Action::Abandon),
            1 => log().prop_map(Action::AppendHuge),
            1 => log().prop_map(Action::Hole),
            4 => log().prop_map(Action::Rotate),
            4 => log().prop_map(Action::RotateCreate),
            7 => log().prop_map(Action::Reopen),
            2 => log().prop_map(Action::Copy),
            2 => (log(), refill).prop_map(|(s, r)| Action::Truncate(s, r)),
            1 => log().prop_map(Action::Delete),
            1 => log().prop_map(Action::Recreate),
            1 => (log(), 0usize..4).prop_map(|(s, n)| Action::Replace(s, n)),
            3 => (log(), 1usize..4).prop_map(|(s, n)| Action::Compress(s, n)),
            1 => log().prop_map(Action::HardLink),
            1 => log().prop_map(Action::Unlink),
            1 => Just(Action::RenameDirectory),
            1 => any::<bool>().prop_map(|back| Action::SymlinkSwap { back }),
            2 => log().prop_map(Action::Chmod),
            // Not by an hour: a line that its file's clock holds is lost if the file is another one by the next start.
            1 => (-4_000i64..4_000).prop_map(Action::SetClock),
            1 => (0i64..40_000).prop_map(Action::Poll),
        ];
        if !state.up {
            let corrupt = u32::from(state.sound >= 2);
            let mut choices = vec![(10, files.boxed()), (8, Just(Action::Start).boxed())];
            if corrupt > 0 {
                choices.push((2, any::<u16>().prop_map(Action::CorruptNewest).boxed()));
            }
            choices.push((1, (0usize..6).prop_map(Action::RestoreOldSnapshot).boxed()));
            return Union::new_weighted(choices).boxed();
        }
        let step =
            prop_oneof![Just(Step::NotBegun), Just(Step::Torn), Just(Step::Written), Just(Step::Renamed)];
        let agent = prop_oneof![
            10 => (0i64..1_500).prop_map(Action::Poll),
            1 => (1_500i64..40_000).prop_map(Action::Poll),
            5 => Just(Action::Glance),
            3 => (1_000i64..2_500).prop_map(Action::Look),
            1 => Just(Action::Hint),
            7 => Just(Action::Save),
            4 => step.prop_map(Action::Crash),
            2 => Just(Action::Kill),
            2 => Just(Action::Stop),
            1 => Just(if state.full { Action::FreeDisk } else { Action::FillDisk }),
            1 => Just(Action::Reload),
            1 => Just(Action::BlockSink),
            1 => Just(Action::UnblockSink),
        ];
        prop_oneof![files, agent].boxed()
    }

    fn apply(mut state: Abstract, action: &Action) -> Abstract {
        match action {
            Action::Crash(step) => {
                state.up = false;
                state.sound += usize::from(matches!(step, Step::Renamed | Step::Told) && !state.full);
            }
            Action::Kill => state.up = false,
            Action::Stop => {
                state.up = false;
                state.sound += usize::from(!state.full);
            }
            Action::Start => state.up = true,
            Action::Save => state.sound += usize::from(!state.full),
            Action::CorruptNewest(_) | Action::RestoreOldSnapshot(_) => state.sound = 0,
            Action::FillDisk => state.full = true,
            Action::FreeDisk => state.full = false,
            _ => {}
        }
        state
    }

    fn preconditions(state: &Abstract, action: &Action) -> bool {
        match action {
            Action::Start | Action::RestoreOldSnapshot(_) => !state.up,
            // Of the two generations one must be whole: with both gone there is nothing to be exact about.
            Action::CorruptNewest(_) => !state.up && state.sound >= 2,
            Action::Glance
            | Action::Look(_)
            | Action::Hint
            | Action::Save
            | Action::Crash(_)
            | Action::Kill
            | Action::Stop
            | Action::Reload => state.up,
            _ => true,
        }
    }
}
