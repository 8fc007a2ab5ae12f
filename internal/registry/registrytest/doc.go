// Package registrytest is one suite for every Schema Registry that this project is tested with: what the API of Confluent's registry
// promises its clients (Run), and what the formats make of it through the client (RunRooms).
//
// A registry that does something else is listed with the reason, check by check. A listed check must fail: one that passes is stale.
package registrytest
