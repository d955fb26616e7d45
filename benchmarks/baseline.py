"""Baseline: the minimum that a Python server with MongoDB does for a request.

It uses Starlette, pymongo and orjson, without validation, authentication, events or TMF630. It
reads and writes the same documents in the same database as the measured server.
"""

import os
import sys
import uuid
from typing import Any

import orjson
import uvicorn
from pymongo import MongoClient
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KIND = "ProductOffering"


def _json_response(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _body_response(document: dict[str, Any] | None) -> Response:
    return _json_response(document["body"]) if document else _json_response({}, 404)


def application(uri: str, name: str) -> Starlette:
    """Return the baseline server for a database."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri, w="majority", journal=True)
    collection = client[name][KIND]

    def get_offering(request: Request) -> Response:
        document = collection.find_one({"_id": f"default:{request.path_params['id']}"}, {"body": 1})
        return _body_response(document)

    def list_offerings(request: Request) -> Response:
        query = {"tenant": "default"}
        if status := request.query_params.get("lifecycleStatus"):
            query["body.lifecycleStatus"] = status
        view = {"body": 1}
        if fields := request.query_params.get("fields"):
            view = {f"body.{field}": 1 for field in fields.split(",")}
        limit = int(request.query_params.get("limit", "20"))
        documents = collection.find(query, view).sort("_id", 1).limit(limit)
        return _json_response([document["body"] for document in documents])

    async def create_offering(request: Request) -> Response:
        body = orjson.loads(await request.body())
        id = str(uuid.uuid4())
        document = {"_id": f"baseline:{id}", "tenant": "baseline", "id": id, "body": body}
        await run_in_threadpool(collection.insert_one, document)
        return _json_response(body, 201)

    async def patch_offering(request: Request) -> Response:
        body = orjson.loads(await request.body())
        id = request.path_params["id"]
        document = await run_in_threadpool(
            collection.find_one_and_update,
            {"_id": f"default:{id}"},
            {"$set": {f"body.{name}": value for name, value in body.items()}},
        )
        return _body_response(document)

    return Starlette(
        routes=[
            Route("/productOffering", list_offerings),
            Route("/productOffering", create_offering, methods=["POST"]),
            Route("/productOffering/{id}", get_offering),
            Route("/productOffering/{id}", patch_offering, methods=["PATCH"]),
        ]
    )


if __name__ == "__main__":
    app = application(os.environ["BASELINE_URI"], os.environ["BASELINE_DATABASE"])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
