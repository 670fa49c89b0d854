//! What developers read and see of an API: documents and the picture.

use prost_types::FieldMask;
use tidegate_proto::admin::v1::{
    Api, CreateApiVersionRequest, CreateDocumentRequest, DeleteApiRequest, DeleteDocumentRequest,
    DeleteThumbnailRequest, Document, DocumentType, GetApiRequest, GetCatalogApiRequest,
    GetDocumentRequest, GetThumbnailRequest, ListDocumentsRequest, SetThumbnailRequest, Thumbnail,
    UpdateDocumentRequest, document::Content,
};
use tonic::{Code, Status};

use super::{Caller, Stage, echo, faults, reason};
use crate::domain::{thumbnail::tests::png, user::Role};

fn how_to(display_name: &str) -> Document {
    Document {
        display_name: display_name.to_owned(),
        summary: "how to begin".to_owned(),
        r#type: DocumentType::HowTo.into(),
        content: Some(Content::Markdown("# Begin".to_owned())),
        ..Document::default()
    }
}

async fn add(caller: &Caller, api: &Api, document: Document) -> Result<Document, Status> {
    let request = CreateDocumentRequest {
        parent: api.name.clone(),
        document: Some(document),
    };
    Ok(caller
        .documents()
        .create_document(request)
        .await?
        .into_inner())
}

async fn get(caller: &Caller, name: &str) -> Result<Document, Status> {
    let name = name.to_owned();
    let got = caller
        .documents()
        .get_document(GetDocumentRequest { name })
        .await?;
    Ok(got.into_inner())
}

async fn list(caller: &Caller, api: &str) -> Result<Vec<Document>, Status> {
    let request = ListDocumentsRequest {
        parent: api.to_owned(),
        ..ListDocumentsRequest::default()
    };
    Ok(caller
        .documents()
        .list_documents(request)
        .await?
        .into_inner()
        .documents)
}

#[tokio::test]
async fn documents_are_written_by_publishers_and_read_by_whoever_sees_the_api() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let publisher = stage.user("pat", &[Role::Publisher]).await;
    let made = add(&publisher, &api, how_to("First steps")).await.unwrap();
    assert_eq!(made.creator, "users/pat");
    let nobody = stage.nobody();
    let read = get(&nobody, &made.name).await.unwrap();
    assert_eq!((&read.content, read.creator.as_str()), (&made.content, ""));
    let listed = list(&nobody, &api.name).await.unwrap();
    assert_eq!(
        (listed.len(), &listed[0].content),
        (1, &None),
        "lists are short"
    );
    let update = UpdateDocumentRequest {
        document: Some(Document {
            name: made.name.clone(),
            content: Some(Content::Url("https://example.org/guide".to_owned())),
            etag: made.etag.clone(),
            ..Document::default()
        }),
        update_mask: None,
    };
    let changed = publisher.documents().update_document(update.clone()).await;
    let changed = changed.unwrap().into_inner();
    assert_eq!(changed.display_name, "First steps");
    let url = Some(Content::Url("https://example.org/guide".to_owned()));
    assert_eq!(list(&nobody, &api.name).await.unwrap()[0].content, url);
    let stale = publisher.documents().update_document(update).await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    let delete = DeleteDocumentRequest {
        name: made.name.clone(),
        etag: changed.etag,
    };
    publisher.documents().delete_document(delete).await.unwrap();
    assert_eq!(
        get(&nobody, &made.name).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn what_is_no_document_is_refused_with_every_field_and_names_are_taken_whatever_their_case() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let bad = Document {
        display_name: "<b>".to_owned(),
        summary: "x".repeat(2001),
        content: Some(Content::Url("javascript:alert(1)".to_owned())),
        ..Document::default()
    };
    let refused = add(&admin, &api, bad).await.unwrap_err();
    let fields: Vec<_> = faults(&refused)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    let expected = ["display_name", "summary", "type", "url"].map(|it| format!("document.{it}"));
    assert_eq!(fields, expected);
    let empty = Document {
        content: None,
        ..how_to("Empty")
    };
    let refused = add(&admin, &api, empty).await.unwrap_err();
    assert_eq!(faults(&refused)[0].0, "document.markdown");
    let first = add(&admin, &api, how_to("First")).await.unwrap();
    let again = add(&admin, &api, how_to("FIRST")).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let second = add(&admin, &api, how_to("Second")).await.unwrap();
    let clash = UpdateDocumentRequest {
        document: Some(Document {
            name: second.name.clone(),
            ..how_to("First")
        }),
        update_mask: Some(FieldMask {
            paths: vec!["display_name".to_owned()],
        }),
    };
    let clash = admin.documents().update_document(clash).await.unwrap_err();
    assert_eq!(clash.code(), Code::AlreadyExists);
    let foreign = admin
        .create(
            Api {
                api_name: "Other".to_owned(),
                context: "/other".to_owned(),
                ..echo()
            },
            false,
        )
        .await
        .unwrap();
    let elsewhere = first.name.replace(&api.name, &foreign.name);
    assert_eq!(
        get(&admin, &elsewhere).await.unwrap_err().code(),
        Code::NotFound
    );
    for n in 2..50 {
        add(&admin, &api, how_to(&format!("No {n}"))).await.unwrap();
    }
    let one_more = add(&admin, &api, how_to("One more")).await.unwrap_err();
    assert_eq!(reason(&one_more), "DOCUMENT_LIMIT");
}

async fn set(caller: &Caller, api: &Api, image: Vec<u8>) -> Result<Thumbnail, Status> {
    let request = SetThumbnailRequest {
        name: format!("{}/thumbnail", api.name),
        image,
    };
    Ok(caller.apis().set_thumbnail(request).await?.into_inner())
}

async fn thumbnail(caller: &Caller, api: &str) -> Result<Thumbnail, Status> {
    let name = format!("{api}/thumbnail");
    let got = caller
        .apis()
        .get_thumbnail(GetThumbnailRequest { name })
        .await?;
    Ok(got.into_inner())
}

#[tokio::test]
async fn a_picture_is_set_seen_and_taken_away() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let nobody = stage.nobody();
    assert_eq!(
        thumbnail(&nobody, &api.name).await.unwrap_err().code(),
        Code::NotFound
    );
    let mut image = png(64, 64);
    image.resize(256 * 1024, 7);
    let made = set(&admin, &api, image.clone()).await.unwrap();
    assert_eq!(
        (made.content_type.as_str(), made.image.len()),
        ("image/png", 0)
    );
    assert_eq!(thumbnail(&nobody, &api.name).await.unwrap().image, image);
    let name = api.name.clone();
    let seen = admin
        .apis()
        .get_api(GetApiRequest { name: name.clone() })
        .await;
    assert_eq!(seen.unwrap().into_inner().thumbnail_etag, made.etag);
    let listed = nobody
        .catalog()
        .get_catalog_api(GetCatalogApiRequest { name })
        .await;
    assert_eq!(listed.unwrap().into_inner().thumbnail_etag, made.etag);
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec();
    let refused = set(&admin, &api, svg).await.unwrap_err();
    assert_eq!(
        faults(&refused),
        [("image".to_owned(), "MALFORMED".to_owned())]
    );
    let other = set(&admin, &api, png(1, 1)).await.unwrap();
    assert_ne!(other.etag, made.etag);
    let delete = || DeleteThumbnailRequest {
        name: format!("{}/thumbnail", api.name),
    };
    admin.apis().delete_thumbnail(delete()).await.unwrap();
    let again = admin.apis().delete_thumbnail(delete()).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test]
async fn documents_and_picture_are_hidden_with_the_api_copied_to_a_new_version_and_go_with_it() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let api = admin.create(echo(), true).await.unwrap();
    let document = add(&admin, &api, how_to("First steps")).await.unwrap();
    set(&admin, &api, png(1, 1)).await.unwrap();
    let request = CreateApiVersionRequest {
        name: api.name.clone(),
        version: "2.0".to_owned(),
        default_version: false,
    };
    let next = admin
        .apis()
        .create_api_version(request)
        .await
        .unwrap()
        .into_inner();
    let copies = list(&admin, &next.name).await.unwrap();
    assert_eq!(copies[0].display_name, "First steps");
    assert_ne!(copies[0].name, document.name);
    assert!(!next.thumbnail_etag.is_empty());
    for caller in [stage.nobody(), stage.user("sue", &[Role::Subscriber]).await] {
        for hidden in [
            list(&caller, &next.name).await.err(),
            get(&caller, &copies[0].name).await.err(),
            thumbnail(&caller, &next.name).await.err(),
        ] {
            assert_eq!(hidden.unwrap().code(), Code::NotFound);
        }
    }
    let objects = stage.service.state().len();
    let request = DeleteApiRequest {
        name: next.name,
        etag: String::new(),
    };
    admin.apis().delete_api(request).await.unwrap();
    assert_eq!(stage.service.state().len(), objects - 3);
    get(&admin, &document.name).await.unwrap();
}
