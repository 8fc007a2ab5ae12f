// Package checker decides whether a proxy kept its promises. Workers write down what they asked for and what they were told (the history);
// after the run the records are read from Kafka itself, without any proxy (the log); Check compares the two.
//
//	w, err := checker.Create(path, "run-1")         // the history, one JSON object in a line
//	rec := w.Worker(3).Next("orders", -1, key, 100) // a record with an id of its own and a value that proves where it belongs
//	w.Invoke(rec)
//	...                                             // produce rec.Key and rec.Value through the proxy
//	w.OK(rec.ID, partition, offset)                 // or Failed (certainly not stored), or Unknown (may be stored)
//	err = w.Close()
//
//	history, err := checker.LoadHistory(path)
//	log, err := checker.ReadLog(ctx, []string{"orders"}, kgo.SeedBrokers(...))
//	report := checker.Check(history, log, checker.Options{Deadline: 10 * time.Second})
//	err = report.Err()
//
// What was read through the proxy is judged too, when Delivered and Committed tell of it.
package checker
