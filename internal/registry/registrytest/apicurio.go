package registrytest

// Apicurio is where Apicurio Registry 3.3 differs from what Confluent's API promises. Nothing of it reaches a record: the client asks for
// none of this, or does not rely on it.
var Apicurio = Differences{
	"media type of replies": "replies are application/json, which the client takes as well",
	"one id for another spelling in another subject": "the same text shares an id everywhere, another spelling within its subject only; records " +
		"carry the one or the other id and are read by either",
	"subjects by prefix":        "subjectPrefix is ignored; the client does not list subjects",
	"version that is no number": "404 with 40402 instead of 422 with 42202; the client only asks for numbers",
	"look-up tells the type": "the reply to a look-up has no schemaType, which elsewhere means Avro; " +
		"the client takes the type that it has looked up",
	"empty schema": "it is taken as a schema; the formats refuse it before a registry is asked",
	"JSON Schema without a keyword that tells it": "422: without $schema or properties it is not taken for JSON Schema, though schemaType says so",
	"default level":           "NONE instead of BACKWARD; an operator's choice",
	"subject without a level": "40401 instead of 40408; the client does not ask",
	"soft deletion of a subject tells what it deleted": "the reply lists versions that were deleted before too; the client deletes nothing",
	"hard deletion comes second":                       "the code is 40405, and the status 409 instead of 404; the client deletes nothing",
}
