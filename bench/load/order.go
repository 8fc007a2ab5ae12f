package load

import (
	"fmt"
	"strconv"
)

// TypeAvro is the media type of Avro.
const TypeAvro = "application/vnd.kafka.avro.v2+json"

// OrderSchema is the Avro schema of what Order gives: ten fields, with a union, an enum and an array among them.
const OrderSchema = `{"type":"record","name":"Order","namespace":"bench","fields":[` +
	`{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"mail","type":["null","string"]},{"name":"price","type":"double"},` +
	`{"name":"count","type":"int"},{"name":"paid","type":"boolean"},` +
	`{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","SENT","DONE"]}},` +
	`{"name":"tags","type":{"type":"array","items":"string"}},{"name":"note","type":"string"},` +
	`{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`

// Order is a JSON object of about 250 bytes and ten members, in Avro's JSON encoding of OrderSchema.
func Order(id int) string {
	return fmt.Sprintf(`{"id":%d,"customer":"customer number %d","mail":{"string":"customer-%d@example.com"},"price":%d.25,"count":%d,"paid":%t,`+
		`"state":"SENT","tags":["fragile","express"],"note":"leave it with the neighbour on the left","at":%d}`,
		100000000+id, 100000+id, 100000+id, 1000+id%1000, 1+id%9, id%2 == 0, 1700000000000+int64(id))
}

// ProduceOrders is a v2 produce body with the given count of orders. With their schema it is for Avro, without it for JSON.
func ProduceOrders(records int, schema bool) string {
	body := envelope(records, Order)
	if !schema {
		return body
	}
	return `{"value_schema":` + strconv.Quote(OrderSchema) + `,` + body[1:]
}
