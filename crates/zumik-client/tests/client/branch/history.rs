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
async fn the_history_ends_when_pages_do_not_move_on() {
    let fake = FakeTransport::new();
    fake.fallback(|_| page([event(1, 1)], true));
    let events: Vec<_> = at(&fake, 1).history().try_collect().await.unwrap();
    assert_eq!(events.len(), 1, "a page that repeats itself is left out");
    let fake = FakeTransport::new();
    fake.fallback(|_| page([], true));
    assert_eq!(at(&fake, 1).history().try_collect::<Vec<_>>().await.unwrap().len(), 0);
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
