//! Two things to wait for at a time.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Which of the two came.
#[derive(Debug)]
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for either; where both are there, the first wins. The other is dropped.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(came) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(came));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
