//! Reading the history.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_history_is_read_page_by_page_and_only_as_far_as_it_is_wanted() {
    let fake = FakeTransport::new();
    fake.answer(page([event(1, 1), event(2, 2)], true)).answer(page([event(3, 3)], false));
    let cursor = at(&fake, 3);
    let mut history = cursor.history();
    assert_eq!(history.try_next().await.unwrap().unwrap().sequence, 1);
    assert_eq!(history.try_next().await.unwrap().unwrap().sequence, 2);
    assert_eq!(fake.requests().len(), 1);
    let rest: Vec<_> = history.map_ok(|event| event.sequence).try_collect().await.unwrap();
    assert_eq!(rest, [3]);
    let lines: Vec<_> = seen(&fake).into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            format!("GET {EVENTS}?limit=500&order=asc"),
            format!("GET {EVENTS}?after=evt_2&limit=500&order=asc")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_is_the_end_of_the_history() {
    let fake = FakeTransport::new();
    fake.fallback(|_| page([], true));
    assert_eq!(at(&fake, 1).history().try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_history_whose_pages_do_not_go_on_is_no_history() {
    let pages: [fn(usize) -> Answer; 4] = [
        |_| page([event(1, 1)], true),
        |asked| page([event(if asked % 2 == 0 { 1 } else { 2 }, 1)], true),
        |asked| page([event(3, 1), event(if asked % 2 == 0 { 1 } else { 2 }, 1)], true),
        |_| page([event(2, 1), event(2, 1)], true),
    ];
    for (number, page) in pages.into_iter().enumerate() {
        let fake = FakeTransport::new();
        let asked = AtomicUsize::new(0);
        fake.fallback(move |_| page(asked.fetch_add(1, Ordering::Relaxed)));
        let mut history = at(&fake, 1).history();
        let error = loop {
            match history.next().await.expect("it ended as if it were whole") {
                Ok(event) => assert!(event.sequence <= 2, "{number}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Decode, "{number}: {error}");
        assert!(error.to_string().contains("the events do not go on"), "{number}: {error}");
        assert!(history.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_that_a_history_begins_behind_is_not_in_it() {
    let fake = FakeTransport::new();
    fake.fallback(|_| page([event(1, 1)], true));
    let mut history = at(&fake, 1).history_after(id::<EventId>("evt_1"));
    let error = history.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("do not go on behind evt_1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_history_ends_with_its_first_error() {
    let fake = FakeTransport::new();
    fake.answer(page([event(1, 1)], true)).answer(Answer::error(404, "invalid_request_error", ""));
    let mut history = at(&fake, 1).history_after(id::<EventId>("evt_0"));
    assert!(history.next().await.unwrap().is_ok());
    assert_eq!(history.next().await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(history.next().await.is_none());
    assert!(history.next().await.is_none(), "and stays at its end");
}
