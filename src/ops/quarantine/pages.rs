//! Everything that the index has of something, page by page, so that memory stays as it is however much there is.

use futures::stream::{self, BoxStream, StreamExt as _};

use crate::quarantine::{Filter, InRun, Known, Parcel, Quarantine, QuarantineError};

/// In order.
pub type Pages<'a, T> = BoxStream<'a, Result<Vec<T>, QuarantineError>>;

/// The letters that pass, the latest death first, so many together.
pub fn letters<'a>(index: &'a dyn Quarantine, filter: &'a Filter, size: usize) -> Pages<'a, Known> {
    stream::try_unfold(Some(None), move |from| async move {
        let Some(after) = from else { return Ok(None) };
        let page = index.list(filter, after.as_ref(), size).await?;
        Ok(Some((page.letters, page.next.map(Some))))
    })
    .boxed()
}

/// The letters of a run, in the order of its plan, so many together.
pub fn in_run<'a>(index: &'a dyn Quarantine, run: &'a str, size: usize) -> Pages<'a, InRun> {
    stream::try_unfold(0, move |from| async move {
        let letters = index.in_run(run, from, size).await?;
        let next = letters.last().map(|last| last.place + 1);
        Ok(next.map(|next| (letters, next)))
    })
    .boxed()
}

/// The objects of the archive by name, so many together.
pub fn parcels(index: &dyn Quarantine, size: usize) -> Pages<'_, Parcel> {
    stream::try_unfold(String::new(), move |after| async move {
        let parcels = index.parcels(&after, size).await?;
        let next = parcels.last().map(|last| last.object.clone());
        Ok(next.map(|next| (parcels, next)))
    })
    .boxed()
}
