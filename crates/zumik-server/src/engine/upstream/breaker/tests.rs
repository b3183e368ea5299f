use super::*;

const BROKEN: Trouble = Trouble::BrokeOff;

/// What happens to a target, and when, in seconds.
enum Step {
    Fails(u64),
    Answers(u64),
    /// Its caller goes away.
    Ends(u64),
    Refused(u64),
}
use Step::*;

fn play(steps: &[Step]) {
    let breaker = Breaker::default();
    let target: Arc<str> = "openai/gpt-4o".into();
    let start = Instant::now();
    for (index, step) in steps.iter().enumerate() {
        let (Fails(at) | Answers(at) | Ends(at) | Refused(at)) = step;
        let now = start + Duration::from_secs(*at);
        let permit = breaker.admit(&target, now);
        match (step, permit) {
            (Fails(_), Ok(permit)) => permit.fail(BROKEN, now),
            (Answers(_), Ok(permit)) => permit.succeed(),
            (Ends(_), Ok(permit)) => drop(permit),
            (Refused(_), Err(_)) => {}
            (_, permit) => panic!("step {index} at {at} s: permit {permit:?}"),
        }
    }
}

fn open() -> Vec<Step> {
    (0..FAILURES).map(|_| Fails(0)).collect()
}

#[test]
fn failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not() {
    play(&[open(), vec![Refused(0), Refused(4)]].concat_steps());
    let mut steps: Vec<_> = (1..FAILURES).map(|_| Fails(0)).collect();
    steps.push(Answers(0));
    steps.extend((1..FAILURES).map(|_| Fails(0)));
    steps.push(Answers(0));
    play(&steps);
}

#[test]
fn one_probe_finds_out_whether_it_answers_again() {
    play(&[open(), vec![Refused(4), Answers(5), Answers(5), Fails(5), Answers(5)]].concat_steps());
}

#[test]
fn a_probe_that_fails_doubles_the_pause_up_to_a_minute() {
    let probes = vec![
        Fails(5),
        Refused(14),
        Fails(15),
        Refused(34),
        Fails(35),
        Refused(74),
        Fails(75),
        Refused(134),
        Fails(135),
        Refused(194),
        Answers(195),
    ];
    play(&[open(), probes].concat_steps());
}

#[test]
fn while_one_probe_is_under_way_no_other_goes() {
    let breaker = Breaker::default();
    let target: Arc<str> = "a".into();
    let start = Instant::now();
    for _ in 0..FAILURES {
        breaker.admit(&target, start).unwrap().fail(BROKEN, start);
    }
    let probe = breaker.admit(&target, start + FIRST_PAUSE).unwrap();
    assert!(breaker.admit(&target, start + FIRST_PAUSE).is_err());
    assert!(breaker.admit(&target, start + FIRST_PAUSE + PROBE).is_ok(), "a probe is over some time");
    probe.succeed();
    assert!(breaker.admit(&target, start).is_ok());
    assert_eq!(breaker.0.count.load(Ordering::Acquire), 0, "who answers is not remembered");
}

#[test]
fn a_probe_whose_caller_goes_away_tells_nothing_and_another_may_follow() {
    let breaker = Breaker::default();
    let target: Arc<str> = "a".into();
    // In the past, so that the pause is over by the clock that a drop reads.
    let start = Instant::now();
    for _ in 0..FAILURES {
        breaker.admit(&target, start).unwrap().fail(BROKEN, start);
    }
    drop(breaker.admit(&target, start + FIRST_PAUSE).unwrap());
    assert!(breaker.admit(&target, start + FIRST_PAUSE).is_ok());
    play(&[Ends(0), Ends(0), Ends(0), Ends(0), Ends(0), Answers(0)]);
}

#[test]
fn a_probe_that_has_begun_lets_all_go_until_one_fails() {
    let breaker = Breaker::default();
    let target: Arc<str> = "a".into();
    let start = Instant::now();
    let seconds = Duration::from_secs;
    for _ in 0..FAILURES {
        breaker.admit(&target, start).unwrap().fail(BROKEN, start);
    }
    let probe = breaker.admit(&target, start + FIRST_PAUSE).unwrap();
    probe.begin();
    let now = start + FIRST_PAUSE;
    let others = [(); 3].map(|()| breaker.admit(&target, now).unwrap());
    for other in others {
        other.fail(BROKEN, now);
    }
    assert!(breaker.admit(&target, now + seconds(9)).is_err(), "the pause is twice as long, once");
    probe.begin();
    assert!(breaker.admit(&target, now + seconds(9)).is_err(), "what has begun before tells nothing new");
    let second = breaker.admit(&target, now + seconds(10)).unwrap();
    second.begin();
    breaker.admit(&target, now + seconds(10)).unwrap().succeed();
    assert_eq!(breaker.0.count.load(Ordering::Acquire), 0, "who answers is not remembered");
}

#[test]
fn a_call_from_before_the_circuit_opened_changes_nothing_of_it() {
    let breaker = Breaker::default();
    let target: Arc<str> = "a".into();
    let start = Instant::now();
    let [succeeds, fails, ends] = [(); 3].map(|()| breaker.admit(&target, start).unwrap());
    for _ in 0..FAILURES {
        breaker.admit(&target, start).unwrap().fail(BROKEN, start);
    }
    succeeds.succeed();
    assert!(breaker.admit(&target, start).is_err(), "it is open");
    let probe = breaker.admit(&target, start + FIRST_PAUSE).unwrap();
    fails.fail(BROKEN, start + FIRST_PAUSE);
    drop(ends);
    assert!(breaker.admit(&target, start + FIRST_PAUSE).is_err(), "the probe is under way");
    probe.succeed();
    assert!(breaker.admit(&target, start + FIRST_PAUSE).is_ok());
}

#[test]
fn a_target_that_is_left_alone_is_told_with_its_last_failure() {
    let breaker = Breaker::default();
    let target: Arc<str> = "a".into();
    let now = Instant::now();
    for failed in 1..FAILURES {
        breaker.admit(&target, now).unwrap().fail(Trouble::Failed(500 + failed as u16), now);
    }
    breaker.admit(&target, now).unwrap().fail(Trouble::BrokeOff, now);
    assert_eq!(breaker.admit(&target, now).unwrap_err(), Trouble::BrokeOff);
    let again = now + FIRST_PAUSE;
    breaker.admit(&target, again).unwrap().fail(Trouble::Failed(503), again);
    assert_eq!(breaker.admit(&target, again).unwrap_err(), Trouble::Failed(503));
}

#[test]
fn the_number_of_targets_in_trouble_is_bounded() {
    let breaker = Breaker::default();
    let now = Instant::now();
    for n in 0..MOST * 2 {
        breaker.admit(&n.to_string().into(), now).unwrap().fail(BROKEN, now);
    }
    assert_eq!(breaker.0.circuits.lock().len(), MOST);
}

#[test]
fn who_is_in_trouble_is_left_alone_however_many_others_are() {
    let breaker = Breaker::default();
    let start = Instant::now();
    let fail = |name: String, at| {
        let target = name.into();
        for _ in 0..FAILURES {
            breaker.admit(&target, at).unwrap().fail(BROKEN, at);
        }
        target
    };
    let first = fail("first".to_owned(), start);
    for n in 0..MOST * 2 {
        breaker.admit(&n.to_string().into(), start).unwrap().fail(BROKEN, start);
    }
    assert!(breaker.admit(&first, start).is_err(), "others go that have failed once");
    let later = start + Duration::from_millis(1);
    let left_alone: Vec<_> = (0..MOST).map(|n| fail(format!("later {n}"), later)).collect();
    assert!(left_alone.iter().all(|target| breaker.admit(target, later).is_err()));
    assert!(breaker.admit(&first, later).is_ok(), "of those that are left alone, the one that is longest so");
    assert_eq!(breaker.0.circuits.lock().len(), MOST);
}

trait Concat {
    fn concat_steps(self) -> Vec<Step>;
}

impl<const N: usize> Concat for [Vec<Step>; N] {
    fn concat_steps(self) -> Vec<Step> {
        self.into_iter().flatten().collect()
    }
}
