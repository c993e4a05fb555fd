//! Slow questions and their answers: each question runs once under its slot, the answer wakes who reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reconcile_core::{Answer, FetchSource, Head, Question, Rendered, Slot, sync};

use crate::TaskKey;

/// How many questions run at once.
const RUNNING_MAX: usize = 64;
/// How many slots are kept; beyond it the oldest answers go first.
const SLOTS_MAX: usize = 20_000;

#[derive(Debug)]
struct Entry {
    question: Question,
    /// Who asked since the last answer.
    askers: BTreeSet<TaskKey>,
    /// The run that may answer; `None` when none is on its way.
    run: Option<u64>,
    answer: Option<Arc<Answer>>,
    /// Of a render that follows its branch.
    followed: Option<Followed>,
    /// Order of age.
    sequence: u64,
}

/// What a render was at the commit before, and who went by it without having looked since.
#[derive(Debug)]
struct Followed {
    before: Arc<Answer>,
    readers: BTreeSet<TaskKey>,
}

impl Entry {
    /// The last render that is known.
    fn rendered(&self) -> Option<Arc<Answer>> {
        let last = self.answer.as_ref().or(self.followed.as_ref().map(|followed| &followed.before));
        last.filter(|answer| matches!(***answer, Answer::Rendered(_))).cloned()
    }
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is on its way because of this call.
    New,
    /// It was on its way already.
    InFlight,
    /// Its answer is there.
    Answered,
}

/// A question that may run now.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where the answer goes.
    pub slot: Slot,
    /// The question.
    pub question: Question,
    /// Which run this is; an answer of a forgotten run is dropped.
    pub run: u64,
}

/// All slots.
#[derive(Debug, Default)]
pub struct Exchange {
    slots: BTreeMap<Slot, Entry>,
    waiting: BTreeMap<u64, Slot>,
    running: BTreeMap<u64, Option<String>>,
    sequence: u64,
}

impl Exchange {
    /// Asks a question for `task`.
    ///
    /// The same question in an answered slot stays answered, unless it is about the head of a branch, which moves:
    /// then the old answer stays until the new one comes. So does a render that depends on more than its commit. A
    /// failure that may pass is asked again the same way.
    pub fn ask(&mut self, slot: Slot, question: Question, task: TaskKey) -> Asked {
        self.sequence += 1;
        let sequence = self.sequence;
        let is_fetch = matches!(question, Question::Fetch(_));
        let entry = self.slots.entry(slot.clone()).or_insert_with(|| Entry {
            question: question.clone(),
            askers: BTreeSet::new(),
            run: None,
            answer: None,
            followed: None,
            sequence,
        });
        let same = entry.question == question;
        if same && entry.run.is_some() {
            entry.askers.insert(task);
            return Asked::InFlight;
        }
        let is_worth_a_repeat = match entry.answer.as_deref() {
            Some(Answer::Failed(failure)) => !failure.lasting,
            Some(Answer::Rendered(rendered)) => rendered.surroundings.is_some(),
            _ => false,
        };
        if same && entry.answer.is_some() && !is_fetch && !is_worth_a_repeat {
            return Asked::Answered;
        }
        if !same {
            entry.answer = None;
            entry.followed = None;
            if let Some(old) = entry.run {
                self.waiting.remove(&old);
            }
        }
        let is_render = matches!(question, Question::Render { .. });
        entry.question = question;
        entry.askers.insert(task);
        entry.run = Some(sequence);
        entry.sequence = sequence;
        if is_render {
            self.forget_other_renders(&slot);
        }
        self.waiting.insert(sequence, slot);
        self.evict();
        Asked::New
    }

    /// An owner reads the render of one commit; those of the commits before it would stay for ever, one for each.
    fn forget_other_renders(&mut self, slot: &Slot) {
        let from = Slot::new(&slot.owner, "");
        let of_owner = self.slots.range(from..).take_while(|(other, _)| other.owner == slot.owner);
        let renders = of_owner.filter(|(_, entry)| matches!(entry.question, Question::Render { .. }));
        let others: Vec<Slot> = renders.map(|(other, _)| other.clone()).filter(|other| other != slot).collect();
        for other in others {
            self.forget(&other);
        }
    }

    /// The questions that may start now, in the order they were asked.
    pub fn start(&mut self) -> Vec<Ready> {
        let mut ready = Vec::new();
        let mut lanes: BTreeSet<String> = self.running.values().flatten().cloned().collect();
        let waiting: Vec<u64> = self.waiting.keys().copied().collect();
        for run in waiting {
            if self.running.len() >= RUNNING_MAX {
                break;
            }
            let Some(slot) = self.waiting.get(&run).cloned() else { continue };
            let Some(entry) = self.slots.get(&slot) else { continue };
            let lane = lane_of(&entry.question);
            if lane.as_ref().is_some_and(|lane| lanes.contains(lane)) {
                continue;
            }
            let question = entry.question.clone();
            lanes.extend(lane.clone());
            self.waiting.remove(&run);
            self.running.insert(run, lane);
            ready.push(Ready { slot, question, run });
        }
        ready
    }

    /// Takes the answer of a run. Returns who asked, and whether it says something new.
    pub fn finish(&mut self, slot: &Slot, run: u64, answer: Answer) -> (BTreeSet<TaskKey>, bool) {
        self.running.remove(&run);
        let Some(entry) = self.slots.get_mut(slot).filter(|entry| entry.run == Some(run)) else {
            return (BTreeSet::new(), false);
        };
        entry.run = None;
        let before = entry.answer.as_deref().or(entry.followed.as_ref().map(|followed| &*followed.before));
        let news = !before.is_some_and(|old| says_the_same(old, &answer));
        entry.answer = Some(Arc::new(answer));
        let mut tasks = std::mem::take(&mut entry.askers);
        if let Some(followed) = entry.followed.take_if(|_| news) {
            tasks.extend(followed.readers);
        }
        (tasks, news)
    }

    /// The renders that go on at a new commit of their branch by themselves: who reads one needs to look only when it is
    /// another one there.
    pub fn followers(&self, branch: &FetchSource, commit: &str) -> Vec<Slot> {
        let follows = |entry: &Entry| match &entry.question {
            Question::Render { source, commit: rendered, .. } => {
                source == branch && rendered != commit && entry.rendered().is_some()
            }
            _ => false,
        };
        self.slots.iter().filter(|(_, entry)| follows(entry)).map(|(slot, _)| slot.clone()).collect()
    }

    /// The answered renders that go on at a new commit and depend on nothing but files: whoever has both commits can say
    /// whether they are the same there.
    pub fn movable(&self, branch: &FetchSource, commit: &str) -> Vec<(Slot, Rendered)> {
        let rendered = |slot: Slot| match self.slots.get(&slot)?.answer.as_deref()? {
            Answer::Rendered(rendered) if rendered.surroundings.is_none() => Some((slot, rendered.clone())),
            _ => None,
        };
        self.followers(branch, commit).into_iter().filter_map(rendered).collect()
    }

    /// Takes a render over to a new commit at which it is known to be the same. Returns who keeps reading it.
    pub fn carry(&mut self, slot: &Slot, commit: &str, readers: BTreeSet<TaskKey>) -> BTreeSet<TaskKey> {
        let Some(entry) = self.slots.get(slot).filter(|entry| entry.run.is_none()) else { return BTreeSet::new() };
        let Some(Answer::Rendered(rendered)) = entry.answer.as_deref() else { return BTreeSet::new() };
        let Some((moved, question)) = sync::moved_render(slot, &entry.question, commit) else { return BTreeSet::new() };
        if self.slots.contains_key(&moved) {
            return BTreeSet::new();
        }
        let answer = Arc::new(Answer::Rendered(Rendered { head: commit.to_owned(), ..rendered.clone() }));
        let Some(old) = self.slots.remove(slot) else { return BTreeSet::new() };
        let mut all = old.followed.map(|followed| followed.readers).unwrap_or_default();
        all.extend(readers);
        all.extend(old.askers);
        self.sequence += 1;
        let followed = Some(Followed { before: answer.clone(), readers: all.clone() });
        let askers = BTreeSet::new();
        let entry = Entry { question, askers, run: None, answer: Some(answer), followed, sequence: self.sequence };
        self.slots.insert(moved, entry);
        all
    }

    /// Asks for a render at a new commit of its branch, for those who read it. Returns whom it keeps from looking.
    pub fn follow(&mut self, slot: &Slot, commit: &str, readers: BTreeSet<TaskKey>) -> BTreeSet<TaskKey> {
        let Some(entry) = self.slots.get(slot) else { return BTreeSet::new() };
        let Some((moved, question)) = sync::moved_render(slot, &entry.question, commit) else { return BTreeSet::new() };
        let Some(before) = entry.rendered().filter(|_| !self.slots.contains_key(&moved)) else {
            return BTreeSet::new();
        };
        let Some(old) = self.slots.remove(slot) else { return BTreeSet::new() };
        if let Some(run) = old.run {
            self.waiting.remove(&run);
        }
        let mut all = old.followed.map(|followed| followed.readers).unwrap_or_default();
        all.extend(readers);
        all.extend(old.askers);
        self.sequence += 1;
        let sequence = self.sequence;
        let followed = Some(Followed { before, readers: all.clone() });
        let entry = Entry { question, askers: BTreeSet::new(), run: Some(sequence), answer: None, followed, sequence };
        self.slots.insert(moved.clone(), entry);
        self.waiting.insert(sequence, moved);
        all
    }

    /// The answer in a slot.
    pub fn answer(&self, slot: &Slot) -> Option<Arc<Answer>> {
        self.slots.get(slot)?.answer.clone()
    }

    /// Whether the question of a slot is on its way.
    pub fn is_asked(&self, slot: &Slot) -> bool {
        self.slots.get(slot).is_some_and(|entry| entry.run.is_some())
    }

    /// Forgets a slot; an answer on its way is dropped when it comes.
    pub fn forget(&mut self, slot: &Slot) {
        if let Some(run) = self.slots.remove(slot).and_then(|entry| entry.run) {
            self.waiting.remove(&run);
        }
    }

    /// Forgets everything that an owner asked.
    pub fn forget_owner(&mut self, owner: &str) {
        let from = Slot::new(owner, "");
        let slots: Vec<Slot> = self
            .slots
            .range(from..)
            .take_while(|(slot, _)| slot.owner == owner)
            .map(|(slot, _)| slot.clone())
            .collect();
        for slot in slots {
            self.forget(&slot);
        }
    }

    /// The fetch slots of repositories for which `is_same` holds.
    pub fn fetches(&self, is_same: impl Fn(&FetchSource) -> bool) -> Vec<(Slot, FetchSource)> {
        let fetches = self.slots.iter().filter_map(|(slot, entry)| match &entry.question {
            Question::Fetch(source) if is_same(source) => Some((slot.clone(), source.clone())),
            _ => None,
        });
        fetches.collect()
    }

    /// The branch whose head a slot holds.
    pub fn branch_of(&self, slot: &Slot) -> Option<FetchSource> {
        match &self.slots.get(slot)?.question {
            Question::Fetch(source) => Some(source.clone()),
            _ => None,
        }
    }

    /// How many questions wait, run and are answered.
    pub fn depth(&self) -> (usize, usize, usize) {
        let answered = self.slots.values().filter(|entry| entry.answer.is_some()).count();
        (self.waiting.len(), self.running.len(), answered)
    }

    fn evict(&mut self) {
        if self.slots.len() <= SLOTS_MAX {
            return;
        }
        let idle = self.slots.iter().filter(|(_, entry)| entry.run.is_none());
        if let Some(oldest) = idle.min_by_key(|(_, entry)| entry.sequence).map(|(slot, _)| slot.clone()) {
            self.forget(&oldest);
        }
    }
}

/// Questions that must not run side by side: commits and pushes to one branch.
fn lane_of(question: &Question) -> Option<String> {
    match question {
        Question::PlanCommit(plan) | Question::Push { plan, .. } => {
            Some(format!("{}#{}", plan.source.url, plan.source.reference))
        }
        Question::Fetch(_)
        | Question::Render { .. }
        | Question::DryRun { .. }
        | Question::Http(_)
        | Question::ConfigMap { .. }
        | Question::Pods { .. }
        | Question::Secret { .. } => None,
    }
}

fn says_the_same(old: &Answer, new: &Answer) -> bool {
    match (old, new) {
        (Answer::Head(old), Answer::Head(new)) => {
            let what = |head: &Head| {
                let failure = head.failure.as_ref().map(|failure| (failure.reason.clone(), failure.message.clone()));
                (head.commit.clone(), head.reference.clone(), head.signer.clone(), failure)
            };
            what(old) == what(new)
        }
        // Equal keys mean equal objects; when it was looked at, and at which head, is no news.
        (Answer::Rendered(old), Answer::Rendered(new)) => {
            old.key == new.key && old.touched == new.touched && old.read == new.read
        }
        (Answer::Failed(old), Answer::Failed(new)) => old.reason == new.reason && old.message == new.message,
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reconcile_core::Key;

    fn task(name: &str) -> TaskKey {
        TaskKey::new(0, Key::new("qa", name))
    }

    fn fetch() -> Question {
        Question::Fetch(FetchSource::branch("https://git.example.com/fleet", "main"))
    }

    fn render(commit: &str) -> Question {
        let Question::Fetch(source) = fetch() else { unreachable!() };
        Question::Render {
            source,
            commit: commit.into(),
            path: "qa".into(),
            render: Box::default(),
            namespace: String::new(),
            seed: String::new(),
            actor: reconcile_core::Actor::Operator,
            values_namespace: String::new(),
        }
    }

    fn head(commit: &str) -> Answer {
        Answer::Head(Head::new(commit, "refs/heads/main", object_model::Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn a_question_asked_twice_runs_once_and_wakes_both() {
        let mut exchange = Exchange::default();
        let slot = Slot::new("git:fleet#main", "head");
        assert_eq!(exchange.ask(slot.clone(), fetch(), task("a")), Asked::New);
        let ready = exchange.start();
        assert_eq!(exchange.ask(slot.clone(), fetch(), task("b")), Asked::InFlight);
        assert_eq!((ready.len(), exchange.start().len()), (1, 0));
        let (woken, news) = exchange.finish(&slot, ready[0].run, head("c1"));
        assert_eq!((woken.len(), news), (2, true));
    }

    #[test]
    fn the_head_of_a_branch_is_asked_again_and_keeps_its_answer_meanwhile() {
        let mut exchange = Exchange::default();
        let slot = Slot::new("git:fleet#main", "head");
        exchange.ask(slot.clone(), fetch(), task("a"));
        let run = exchange.start()[0].run;
        exchange.finish(&slot, run, head("c1"));
        assert_eq!(exchange.ask(slot.clone(), fetch(), task("a")), Asked::New);
        assert!(exchange.is_asked(&slot) && exchange.answer(&slot).is_some());
        let run = exchange.start()[0].run;
        assert!(!exchange.finish(&slot, run, head("c1")).1, "the same head is no news");
    }

    #[test]
    fn an_answered_question_stays_answered_until_another_is_asked() {
        let mut exchange = Exchange::default();
        let slot = Slot::new("uid", "render");
        exchange.ask(slot.clone(), render("c1"), task("a"));
        let run = exchange.start()[0].run;
        exchange.finish(&slot, run, head("c1"));
        assert_eq!(exchange.ask(slot.clone(), render("c1"), task("a")), Asked::Answered);
        assert_eq!(exchange.ask(slot.clone(), render("c2"), task("a")), Asked::New);
        assert!(exchange.answer(&slot).is_none());
    }

    #[test]
    fn the_render_of_a_new_commit_takes_the_place_of_the_old_one() {
        let mut exchange = Exchange::default();
        let slots = ["c1", "c2"].map(|commit| Slot::new("uid", format!("render/{commit}")));
        let other = Slot::new("uid", "push");
        exchange.ask(other.clone(), fetch(), task("a"));
        exchange.ask(slots[0].clone(), render("c1"), task("a"));
        for ready in exchange.start() {
            exchange.finish(&ready.slot, ready.run, head("c1"));
        }
        exchange.ask(slots[1].clone(), render("c2"), task("a"));
        assert!(exchange.answer(&slots[0]).is_none());
        assert!(exchange.answer(&other).is_some(), "only renders make way");
        assert!(exchange.is_asked(&slots[1]));
    }

    fn rendered_as(key: &str, head: &str) -> Answer {
        let person = reconcile_core::Identity { name: "Ann".into(), email: "ann@example.com".into() };
        let touched = reconcile_core::CommitFacts {
            commit: "c0".into(),
            author: person.clone(),
            committer: person,
            time: object_model::Timestamp::UNIX_EPOCH,
            subject: String::new(),
            trailers: Vec::new(),
        };
        Answer::Rendered(reconcile_core::Rendered {
            key: key.into(),
            head: head.into(),
            touched,
            objects: Arc::default(),
            read: Vec::new(),
            surroundings: None,
        })
    }

    /// An exchange in which `reader` has the render of `c1` that says `same`.
    fn with_a_render() -> (Exchange, Slot, FetchSource, BTreeSet<TaskKey>) {
        let mut exchange = Exchange::default();
        let slot = Slot::new("uid", "render/c1/settings");
        exchange.ask(slot.clone(), render("c1"), task("reader"));
        let run = exchange.start()[0].run;
        exchange.finish(&slot, run, rendered_as("same", "c1"));
        let Question::Fetch(branch) = fetch() else { unreachable!() };
        (exchange, slot, branch, BTreeSet::from([task("reader")]))
    }

    #[test]
    fn a_commit_that_changes_nothing_for_a_render_wakes_nobody() {
        let (mut exchange, slot, branch, readers) = with_a_render();
        assert_eq!(exchange.followers(&branch, "c2"), std::slice::from_ref(&slot));
        assert_eq!(exchange.follow(&slot, "c2", readers.clone()), readers);
        let ready = exchange.start().remove(0);
        assert_eq!(ready.slot, Slot::new("uid", "render/c2/settings"));
        assert!(exchange.answer(&slot).is_none() && exchange.answer(&ready.slot).is_none());
        assert_eq!(exchange.finish(&ready.slot, ready.run, rendered_as("same", "c2")), (BTreeSet::new(), false));
        assert!(exchange.answer(&ready.slot).is_some());
        assert!(exchange.followers(&branch, "c2").is_empty(), "it is there already");
    }

    #[test]
    fn a_render_that_is_known_to_be_the_same_moves_without_a_question() {
        let (mut exchange, slot, branch, readers) = with_a_render();
        let movable = exchange.movable(&branch, "c2");
        assert_eq!(movable.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [&slot]);
        assert_eq!(exchange.carry(&slot, "c2", readers.clone()), readers);
        assert!(exchange.start().is_empty());
        let moved = Slot::new("uid", "render/c2/settings");
        let Some(Answer::Rendered(rendered)) = exchange.answer(&moved).as_deref().cloned() else { unreachable!() };
        assert_eq!((rendered.head.as_str(), rendered.key.as_str()), ("c2", "same"));
        assert!(exchange.followers(&branch, "c2").is_empty(), "it is there already");
        exchange.follow(&moved, "c3", BTreeSet::new());
        let ready = exchange.start().remove(0);
        assert_eq!(exchange.finish(&ready.slot, ready.run, rendered_as("other", "c3")), (readers, true));
    }

    #[test]
    fn a_reader_that_slept_over_some_commits_wakes_at_the_one_that_concerns_it() {
        let (mut exchange, slot, _, readers) = with_a_render();
        exchange.follow(&slot, "c2", readers.clone());
        let ready = exchange.start().remove(0);
        exchange.finish(&ready.slot, ready.run, rendered_as("same", "c2"));
        exchange.follow(&ready.slot, "c3", BTreeSet::new());
        let ready = exchange.start().remove(0);
        assert_eq!(exchange.finish(&ready.slot, ready.run, rendered_as("other", "c3")), (readers, true));
    }

    #[test]
    fn a_render_follows_again_before_its_answer_came() {
        let (mut exchange, slot, branch, readers) = with_a_render();
        exchange.follow(&slot, "c2", readers.clone());
        let late = exchange.start().remove(0);
        let on_its_way = exchange.followers(&branch, "c3").remove(0);
        exchange.follow(&on_its_way, "c3", BTreeSet::new());
        assert_eq!(exchange.finish(&late.slot, late.run, rendered_as("other", "c2")), (BTreeSet::new(), false));
        let ready = exchange.start().remove(0);
        assert_eq!(exchange.finish(&ready.slot, ready.run, rendered_as("other", "c3")), (readers, true));
    }

    #[test]
    fn who_looked_meanwhile_is_told_when_a_followed_render_is_there() {
        let (mut exchange, slot, _, readers) = with_a_render();
        exchange.follow(&slot, "c2", readers.clone());
        let moved = Slot::new("uid", "render/c2/settings");
        assert_eq!(exchange.ask(moved.clone(), render("c2"), task("reader")), Asked::InFlight);
        let ready = exchange.start().remove(0);
        assert_eq!(exchange.finish(&moved, ready.run, rendered_as("same", "c2")), (readers, false));
    }

    #[test]
    fn the_answer_of_a_forgotten_question_is_dropped() {
        let mut exchange = Exchange::default();
        let slot = Slot::new("uid", "render");
        exchange.ask(slot.clone(), render("c1"), task("a"));
        let run = exchange.start()[0].run;
        exchange.forget_owner("uid");
        assert!(exchange.finish(&slot, run, head("c1")).0.is_empty());
        assert!(exchange.answer(&slot).is_none());
        assert_eq!(exchange.depth(), (0, 0, 0));
    }
}
