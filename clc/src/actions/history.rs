//! What was done with an instance, and by whom.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::convert::timestamp;
use crate::ec2::admin::{DescribeInstanceHistory, HistoryRow, Listing};
use crate::error::Ec2Error;
use crate::front::Caller;
use crate::hosts::Reader;
use crate::ids;
use crate::store::Entry;

/// Every action on an instance of the account, and for administrators of the cloud of anybody; also
/// of one that was forgotten lately.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub async fn describe_instance_history(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeInstanceHistory,
) -> Result<Listing<HistoryRow>, Ec2Error> {
    let id = ids::canonical(&request.instance_id);
    let found = cloud.store.history(caller.scope(), id).await?;
    let entries = found.ok_or_else(|| Ec2Error::no_instance(&request.instance_id))?;
    let reader = Reader::of(&cloud, &caller);
    Ok(Listing(entries.into_iter().map(|entry| row(entry, &reader)).collect()))
}

fn row(entry: Entry, reader: &Reader) -> HistoryRow {
    HistoryRow {
        instance_id: entry.instance_id,
        action: entry.action,
        detail: entry.detail.map(|detail| reader.text(&detail)),
        by: reader.text(&entry.by),
        request_id: entry.request_id,
        began: timestamp(entry.began).to_string(),
        ended: entry.ended.map(|ended| timestamp(ended).to_string()),
        duration_ms: entry.ended.map(|ended| (ended - entry.began) / 1000),
        result: entry.result.map(|result| reader.text(&result)),
    }
}
