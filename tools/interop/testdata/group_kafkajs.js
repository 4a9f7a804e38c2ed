// usage: group_kafkajs.js MODULES BOOTSTRAP TOPIC GROUP
// kafkajs in a group: prints the value of every record, and leaves on SIGTERM. Its own way of assigning has a name no other client knows,
// so it is given the one that all know.
const [modules, bootstrap, topic, groupId] = process.argv.slice(2);
const { Kafka, AssignerProtocol, logLevel } = require(modules + '/kafkajs');

const range = ({ cluster }) => ({
  name: 'range',
  version: 0,
  async assign({ members, topics }) {
    const ids = members.map((m) => m.memberId).sort();
    const assigned = Object.fromEntries(ids.map((id) => [id, {}]));
    for (const t of topics) {
      const partitions = cluster.findTopicPartitionMetadata(t).map((p) => p.partitionId).sort((a, b) => a - b);
      const least = Math.floor(partitions.length / ids.length), more = partitions.length % ids.length;
      ids.forEach((id, i) => {
        const from = i * least + Math.min(i, more);
        assigned[id][t] = partitions.slice(from, from + least + (i < more ? 1 : 0));
      });
    }
    return ids.map((id) => ({ memberId: id, memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: assigned[id], userData: Buffer.alloc(0) }) }));
  },
  protocol({ topics }) {
    return { name: 'range', metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }) };
  },
});

const kafka = new Kafka({ clientId: 'kafkajs', brokers: bootstrap.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId, partitionAssigners: [range], sessionTimeout: 10000, heartbeatInterval: 1000, rebalanceTimeout: 20000 });
process.on('SIGTERM', () => consumer.disconnect().then(() => process.exit(0)));
consumer.connect()
  .then(() => consumer.subscribe({ topics: [topic], fromBeginning: true }))
  .then(() => consumer.run({ autoCommitInterval: 1000, eachMessage: async ({ message }) => console.log(message.value.toString()) }))
  .catch((e) => { console.error(e); process.exit(1); });
