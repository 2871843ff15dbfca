//! What an export reads: pages of records up to a number, each with a connection for itself.

use uuid::Uuid;

use super::{Filters, Page, Reader, Start, Store, StoreError, walk::Walk};

impl Store {
    /// A page of an export: the oldest ids first, and no record that was recorded after `up_to`.
    pub async fn export_page(
        &self,
        reader: &Reader<'_>,
        filters: &Filters,
        after: Option<Uuid>,
        up_to: i64,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let walk = Walk { reader, filters, up_to: Some(up_to), start: Start::Oldest(after) };
        self.walk(&walk, limit).await
    }
}
