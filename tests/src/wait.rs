use std::time::Duration;

/// Asks until the answer is yes; for what happens by itself and soon.
///
/// # Panics
///
/// If it is still no after ten seconds: `what` did not happen.
pub async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if happened().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(happened().await, "within ten seconds: {what}");
}
