package records

import (
	"errors"
	"testing"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
)

func TestParseOffsets(t *testing.T) {
	got, err := parseOffsets([]byte(`{"partitions":[{"topic":"a","partition":1,"offset":-1},{"topic":"a","partition":0,"offset":9223372036854775807}],"version":1,"more":[]}`))
	if err != nil || len(got) != 2 || got[0].String() != "a-1" || got[0].offset != -1 || got[1].offset != 1<<63-1 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseOffsets([]byte(`{"partitions":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("without version: %v, %v", got, err)
	}
}

func TestParseOffsetsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 jsonfile.OperationException + ": The input string is not a valid JSON",
		`nonsense`:                         jsonfile.OperationException + ": The input string is not a valid JSON",
		`[]`:                               jsonfile.MappingException + ": Expected JSON object, received []",
		`{"version":1}`:                    jsonfile.OperationException + ": Missing partitions field",
		`{"version":2,"partitions":[]}`:    jsonfile.OperationException + ": Not supported version field value 2",
		`{"version":"1","partitions":[]}`:  jsonfile.MappingException + ": Expected `Integer` value, received \"1\"",
		`{"partitions":{}}`:                jsonfile.MappingException + ": Expected JSON array, received {}",
		`{"partitions":[1]}`:               jsonfile.MappingException + ": Expected JSON object, received 1",
		`{"partitions":[{"topic":"a"}]}`:   jsonfile.MappingException + ": No such field exists: `partition`",
		`{"partitions":[{"partition":1}]}`: jsonfile.MappingException + ": No such field exists: `topic`",
		`{"partitions":[{"topic":"a","partition":4294967296,"offset":1}]}`:                                                                      jsonfile.MappingException + ": Expected `Integer` value, received 4294967296",
		`{"partitions":[{"topic":"a","partition":1,"offset":1.5}]}`:                                                                             jsonfile.MappingException + ": Expected `Long` value, received 1.5",
		`{"partitions":[{"topic":1,"partition":1,"offset":1}]}`:                                                                                 jsonfile.MappingException + ": Expected `String` value, received 1",
		`{"partitions":[{"topic":"a","partition":1,"offset":1},{"topic":"b","partition":1,"offset":1},{"topic":"a","partition":1,"offset":2}]}`: jsonfile.CommandFailedException + ": Offset json file contains duplicate topic partitions: a-1",
	} {
		_, err := parseOffsets([]byte(text))
		if err == nil || !errors.As(err, new(*client.Error)) || client.Describe(err) != want {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseOffsets(f *testing.F) {
	f.Add([]byte(`{"partitions":[{"topic":"a","partition":1,"offset":-1}],"version":1}`))
	f.Fuzz(func(_ *testing.T, text []byte) { parseOffsets(text) })
}
