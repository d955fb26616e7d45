"""Resources in the client's version, whole or with the attributes that ``fields`` selects."""

from collections.abc import Iterable
from http import HTTPStatus

from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.pipeline.documents import is_reshaped
from tmf_apis.rest.pipeline.masked_changes import (
    guessed_texts,
    refuse_masks,
    unmasked,
    with_sent_texts,
)
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.representation import client_view, etag, identified, resource_json
from tmf_apis.rest.pipeline.write_access import WriteResult
from tmf_apis.rest.query.fields import FieldSelection, selected_resource
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.rest.views.transforms import Transform
from tmf_apis.security.identity import Identity
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.store.resources import Document

_ALL_FIELDS = FieldSelection()


class ResourceRenderer:
    """Renders stored documents as resources of a version."""

    def __init__(
        self,
        kinds: KindRegistry,
        forms: ServedForms,
        personal_attributes: PersonalAttributes,
    ) -> None:
        self._kinds = kinds
        self._forms = forms
        self._type_defaults = forms.type_defaults
        self._personal_attributes = personal_attributes

    def visible(self, kind: str, identity: Identity, resource: Resource) -> Resource:
        """Return a resource, in any version's form, without the values that a client must not see.

        It is the resource itself if the client may see all of it.
        """
        if identity.sees_personal_data:
            return resource
        return self._personal_attributes.masked(kind, resource)

    def unmasked(self, kind: str, after: object, visible: Resource, full: Resource) -> object:
        """Return a changed visible form with the values that its client could not see.

        Raises:
            Forbidden: A mask has no value (HTTP 403).
        """
        rules = self._personal_attributes.rules(kind)
        return unmasked(rules, after, visible, full) if rules and isinstance(after, dict) else after

    def refuse_masks(self, kind: str, identity: Identity, resource: Resource) -> None:
        """Check that a new resource has no masks of a client that cannot read personal values.

        Raises:
            Forbidden: It has one (HTTP 403).
        """
        if not identity.sees_personal_data and (rules := self._personal_attributes.rules(kind)):
            refuse_masks(rules, resource)

    def guessed_texts(self, kind: str, sent: object, full: Resource) -> list[str]:
        """Return the stored personal texts that a client has sent without being able to see them.

        Args:
            kind: The kind.
            sent: The changed visible form.
            full: The complete form before.
        """
        rules = self._personal_attributes.rules(kind)
        return guessed_texts(rules, sent, full) if rules and isinstance(sent, dict) else []

    def with_sent_texts(self, kind: str, stored: Resource, texts: list[str]) -> Resource:
        """Return a stored form in which some texts count as changed."""
        rules = self._personal_attributes.rules(kind)
        return with_sent_texts(rules, stored, texts) if rules and texts else stored

    def type_defaults(self, kind: str, version: str) -> Transform | None:
        """Return the transform that adds the types of nested objects; None if there is none."""
        return None if version == "v4" else self._type_defaults.get(kind)

    def client_form(
        self, kind: str, version: str, base_url: str, stored: Resource
    ) -> tuple[Resource, bool]:
        """Return the form of a resource in a version from its stored form with the id.

        Types of nested objects are not added, so ``versions.to_stored`` is the inverse, unless the
        form had to be repaired, which the second value tells.
        """
        body = {name: value for name, value in stored.items() if name != "id"}
        trusted = ("v5",)  # the stored form
        form, is_repaired = self._forms.form(
            kind, version, body, types_incomplete=False, trusted=trusted
        )
        source = (stored["id"], base_url, body)
        return identified(self._kinds, kind, version, source, form), is_repaired

    def resource(
        self,
        kind: str,
        version: str,
        base_url: str,
        document: Document,
        fields: FieldSelection = _ALL_FIELDS,
    ) -> Resource:
        """Return a stored document as a resource with the selected attributes."""
        body = document.get("body", {})
        if is_reshaped(document, version):
            form, _ = self._forms.form(kind, version, body)
            source = (document["id"], base_url, body)
            resource = identified(self._kinds, kind, version, source, form)
        else:
            resource = client_view(self._kinds, kind, version, document["id"], base_url, body)
            if "loose" in document and (with_types := self.type_defaults(kind, version)):
                resource = with_types(resource)
        return selected_resource(resource, fields, with_type=version != "v4")

    def resources(
        self,
        kind: str,
        version: str,
        base_url: str,
        documents: Iterable[Document],
        fields: FieldSelection,
    ) -> list[Resource]:
        """Return stored documents as resources with the selected attributes."""
        names = fields.top_level_names(version)
        return [
            self._top_level_attributes(kind, version, base_url, document, names)
            if names and "loose" not in document and not is_reshaped(document, version)
            else self.resource(kind, version, base_url, document, fields)
            for document in documents
        ]

    def _top_level_attributes(
        self, kind: str, version: str, base_url: str, document: Document, names: frozenset[str]
    ) -> Resource:
        """Return selected top-level attributes of a document that needs no conversion."""
        id, body = document["id"], document.get("body", {})
        href = base_url + self._kinds.resource_path(kind, version, id, body)
        attributes = {name: value for name, value in body.items() if name in names}
        return {"id": id, "href": href, **attributes}

    def response(
        self, kind: str, version: str, request: Request, result: WriteResult, *, status: int = 200
    ) -> Response:
        """Return the response to a write: the resource, with its path in ``Location`` after 201."""
        headers = {"ETag": etag(result.rev)}
        if status == HTTPStatus.CREATED:
            path = self._kinds.resource_path(kind, version, result.id, result.body)
            headers = {"Location": request.base_url + path, **headers}
        fields = requested_fields(request)
        body = self.visible(kind, request.identity, result.body)
        if fields.tree is None and version in result.json_fragments and body is result.body:
            fragment = result.json_fragments[version]
            return Response(status, resource_json(result.id, request.base_url, fragment), headers)
        document = {"id": result.id, "body": body, "loose": True, "reshaped": True}
        resource = self.resource(kind, version, request.base_url, document, fields)
        return json_response(status, resource, headers)


def requested_fields(request: Request) -> FieldSelection:
    """Return the selection of the ``fields`` parameters of a request."""
    return FieldSelection.parse(value for name, value in request.parameters() if name == "fields")
