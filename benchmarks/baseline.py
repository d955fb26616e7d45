"""The floor: the least that a Python server over MongoDB can do for a request.

Starlette, pymongo and orjson; no validation, no identity, no events, none of TMF630. It reads and
writes the same documents in the same database as the server that is measured beside it.
"""

import os
import sys
import uuid

import orjson
import uvicorn
from pymongo import MongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KIND = "ProductOffering"


def application(uri: str, name: str) -> Starlette:
    """Return the floor over one database."""
    collection = MongoClient(uri, w="majority", journal=True)[name][KIND]

    def answer(value: object, status: int = 200) -> Response:
        return Response(orjson.dumps(value), status, media_type="application/json")

    def one(request: Request) -> Response:
        document = collection.find_one({"_id": f"default:{request.path_params['id']}"}, {"body": 1})
        return answer(document["body"])

    def many(request: Request) -> Response:
        query = {"tenant": "default"}
        if status := request.query_params.get("lifecycleStatus"):
            query["body.lifecycleStatus"] = status
        view = {"body": 1}
        if fields := request.query_params.get("fields"):
            view = {f"body.{field}": 1 for field in fields.split(",")}
        limit = int(request.query_params.get("limit", "20"))
        documents = collection.find(query, view).sort("_id", 1).limit(limit)
        return answer([document["body"] for document in documents])

    async def create(request: Request) -> Response:
        body = orjson.loads(await request.body())
        id = str(uuid.uuid4())
        document = {"_id": f"floor:{id}", "tenant": "floor", "id": id, "body": body}
        await run(collection.insert_one, document)
        return answer(body, 201)

    async def patch(request: Request) -> Response:
        body = orjson.loads(await request.body())
        id = request.path_params["id"]
        document = await run(
            collection.find_one_and_update,
            {"_id": f"default:{id}"},
            {"$set": {f"body.{name}": value for name, value in body.items()}},
        )
        return answer(document["body"])

    from starlette.concurrency import run_in_threadpool as run  # noqa: PLC0415

    return Starlette(
        routes=[
            Route("/productOffering", many),
            Route("/productOffering", create, methods=["POST"]),
            Route("/productOffering/{id}", one),
            Route("/productOffering/{id}", patch, methods=["PATCH"]),
        ]
    )


if __name__ == "__main__":
    app = application(os.environ["FLOOR_URI"], os.environ["FLOOR_DATABASE"])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
