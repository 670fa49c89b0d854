//! `AuditService`: who changed what, when.

use tidegate_proto::admin::v1::{
    AuditEntry as Message, ListAuditEntriesRequest, ListAuditEntriesResponse,
    audit_service_server::AuditService,
};
use tonic::{Request, Response, async_trait};

use super::{Admin, Reply, convert, paging};
use crate::{domain::audit::AuditEntry, service::listing::ListQuery};

#[async_trait]
impl AuditService for Admin {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Reply<ListAuditEntriesResponse> {
        let (actor, req) = self.caller(request)?;
        let query = ListQuery {
            page_size: req.page_size,
            page_token: req.page_token,
            filter: req.filter,
            order_by: String::new(),
        };
        let page = self.service.list_audit(&actor, &query).await?;
        let page = paging::answer(page, message);
        Ok(Response::new(ListAuditEntriesResponse {
            audit_entries: page.messages,
            next_page_token: page.next_page_token,
            total_size: page.total_size,
        }))
    }
}

fn message(entry: &AuditEntry) -> Message {
    let number = entry.number.get();
    let json = |value: &Option<serde_json::Value>| {
        let text = value.as_ref().map(ToString::to_string);
        text.unwrap_or_default()
    };
    Message {
        name: format!("auditEntries/{number}"),
        revision_number: number,
        event_time: convert::time(entry.at),
        actor: entry.actor_resource(),
        action: entry.action.clone(),
        resource: entry.resource.clone(),
        before: json(&entry.before),
        after: json(&entry.after),
        touched: entry.touched.clone(),
    }
}
