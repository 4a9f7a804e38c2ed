// kafka-node 2.6: MODULES ZOOKEEPER produce TOPIC PARTITIONS CODEC FILE | MODULES ZOOKEEPER consume TOPIC PARTITIONS COUNT FILE
'use strict';
const fs = require('fs');
const [modules, zookeeper, verb, topic, partitions, what, path] = process.argv.slice(2);
const kafka = require(modules + '/kafka-node');

function fail(error) {
  console.error(error && error.stack ? error.stack : JSON.stringify(error));
  process.exit(1);
}
process.on('unhandledRejection', fail);

// read gives the records of an exchange file (../doc.go).
function read() {
  const data = fs.readFileSync(path);
  const records = [];
  let at = 0;
  const take = () => {
    const size = data.readInt32BE(at);
    at += 4;
    if (size < 0) return null;
    at += size;
    return data.subarray(at - size, at);
  };
  while (at < data.length) {
    records.push({ key: take(), value: take() });
    if (data.readInt32BE(at) !== 0) fail('headers');
    at += 4;
  }
  return records;
}

function bytes(field) {
  const size = Buffer.alloc(4);
  size.writeInt32BE(field === null ? -1 : field.length);
  return field === null ? size : Buffer.concat([size, field]);
}

function produce() {
  const client = new kafka.Client(zookeeper, 'kafka-node');
  const producer = new kafka.Producer(client, { requireAcks: 1, ackTimeoutMs: 10000 });
  const records = read();
  const sets = Array.from({ length: Number(partitions) }, (_, p) => records.filter((_, i) => i % partitions === p));
  const attributes = what === 'gzip' ? 1 : 0;
  // One request after the other keeps the order. A message set must fit into a fetch below.
  const next = () => {
    const payloads = [];
    sets.forEach((set, partition) => {
      const messages = [];
      let size = 0;
      while (set.length > 0 && messages.length < 500 && (size === 0 || size + (set[0].value || '').length < 50000)) {
        const r = set.shift();
        size += (r.value || '').length;
        messages.push(new kafka.KeyedMessage(r.key, r.value));
      }
      if (messages.length > 0) payloads.push({ topic, partition, messages, attributes });
    });
    if (payloads.length === 0) return client.close(() => process.exit(0));
    producer.send(payloads, (error) => (error ? fail(error) : next()));
  };
  producer.on('ready', () => client.refreshMetadata([topic], (error) => (error ? fail(error) : next())));
  producer.on('error', fail);
}

function consume() {
  const client = new kafka.Client(zookeeper, 'kafka-node');
  const from = Array.from({ length: Number(partitions) }, (_, partition) => ({ topic, partition, offset: 0 }));
  const consumer = new kafka.Consumer(client, from, { autoCommit: false, fromOffset: true, encoding: 'buffer', keyEncoding: 'buffer', fetchMaxBytes: 512 << 10 });
  let left = Number(what);
  const got = from.map(() => []); // by partition and offset
  const next = from.map(() => 0); // nothing below is missing
  const timer = setTimeout(() => fail(left + ' records are missing'), 300000);
  consumer.on('message', (m) => {
    // Three things this client leaves to its user. What a broker pads a converted set with, it takes for empty messages. A fetch
    // may begin before the offset asked for, within a compressed set. And it hands out compressed sets as they get unpacked.
    const padding = (m.key || '').length + (m.value || '').length === 0;
    if (left === 0 || padding || m.offset in got[m.partition]) return;
    got[m.partition][m.offset] = m;
    while (next[m.partition] in got[m.partition]) next[m.partition]++;
    if (--left === 0) {
      clearTimeout(timer);
      save(got);
    }
  });
  // So it does not know either where to go on.
  consumer.on('done', () => next.forEach((offset, partition) => consumer.setOffset(topic, partition, offset)));
  consumer.on('error', fail);
  consumer.on('offsetOutOfRange', fail);
}

function save(got) {
  const out = fs.createWriteStream(path);
  got.flat().forEach((m) => {
    const head = Buffer.alloc(12);
    head.writeInt32BE(m.partition);
    head.writeBigInt64BE(BigInt(m.offset), 4);
    out.write(Buffer.concat([head, bytes(m.key), bytes(m.value), Buffer.alloc(4)]));
  });
  out.end(() => process.exit(0));
}

if (verb === 'produce') produce();
else consume();
