"""The embedded database: started, shared, killed, taken over."""


def test_a_document_written_is_read_back(database):
    database.things.insert_one({"_id": 1})
    assert database.things.find_one({"_id": 1}) == {"_id": 1}
