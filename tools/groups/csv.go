package groups

import (
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// csvOf is a plan as --from-file takes it back: topic,partition,offset, or with the group in front if there are several.
func csvOf(p plan, alone bool) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, group := range slices.Sorted(maps.Keys(p)) {
		for _, tp := range slices.SortedFunc(maps.Keys(p[group]), meta.TopicPartition.Compare) {
			row := []string{group, tp.Topic, strconv.Itoa(int(tp.Partition)), strconv.FormatInt(p[group][tp], 10)}
			if alone {
				row = row[1:]
			}
			_ = w.Write(row) // into memory
		}
	}
	w.Flush()
	return b.String()
}

// parseCSV reads what csvOf writes. With one group the rows may be without it: the first tells.
func parseCSV(text, group string, alone bool) (plan, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, invalidCSV(err.Error())
	}
	p := plan{}
	for i, row := range rows {
		if alone && len(rows[0]) == 3 {
			row = append([]string{group}, row...)
		}
		if len(row) != 4 {
			return nil, invalidCSV(fmt.Sprintf("row %d has %d fields", i+1, len(row)))
		}
		partition, err := strconv.ParseInt(row[2], 10, 32)
		if err != nil || partition < 0 {
			return nil, invalidCSV(fmt.Sprintf("row %d: %q is no partition", i+1, row[2]))
		}
		offset, err := strconv.ParseInt(row[3], 10, 64)
		if err != nil {
			return nil, invalidCSV(fmt.Sprintf("row %d: %q is no offset", i+1, row[3]))
		}
		if p[row[0]] == nil {
			p[row[0]] = map[meta.TopicPartition]int64{}
		}
		p[row[0]][meta.TopicPartition{Topic: row[1], Partition: int32(partition)}] = offset
	}
	return p, nil
}

func invalidCSV(why string) error {
	return &client.Error{Class: "java.io.IOException", Message: "Invalid CSV: " + why}
}
