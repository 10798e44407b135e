// Runs a shell command while a double of an inference server serves `double` (X[N,2] -> Y[N,1]) at $SERVER; its port is not shown.
import { spawn } from 'node:child_process';
import { fakeHttp } from '../unit/fake-kserve.ts';

const [command, fault] = process.argv.slice(2);
const fake = await fakeHttp();
if (fault !== undefined) fake.fault = () => fault;
const child = spawn('/bin/sh', ['-c', command], { env: { ...process.env, SERVER: fake.url } });
const told = { stdout: '', stderr: '' };
for (const name of ['stdout', 'stderr']) {
  child[name].on('data', (text) => {
    told[name] += text;
  });
}
const status = await new Promise((resolve) => child.on('close', resolve));
for (const [name, text] of Object.entries(told)) process[name].write(text.replaceAll(fake.url, 'SERVER'));
process.stderr.write(
  `the server answered ${fake.asked.length} requests, ${fake.asked.reduce((a, b) => a + b, 0)} rows\n`,
);
await fake.kill();
process.exitCode = status;
