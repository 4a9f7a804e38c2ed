package config

// meant suggests the key that differs least from an unknown one, if any is near.
func meant(name string) string {
	best, least := "", min(3, len(name)/4+1)
	for _, k := range brokerTable().keys() {
		if d := distance(name, k.Name, least); d < least {
			best, least = k.Name, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance is the number of characters to insert, drop or replace to make b of a; limit if there are so many or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0] // of the column before, in the row before
		row[0]++
		for j := range len(b) {
			replaced := above
			if a[i] != b[j] {
				replaced++
			}
			above, row[j+1] = row[j+1], min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
