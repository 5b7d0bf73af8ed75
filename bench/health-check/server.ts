import { createServer } from 'node:http'

/**
 * Answers on every loopback address and prints its port. With `halfIsSilent`, checks of odd addresses are taken, and not answered; other requests
 * are.
 */
const { halfIsSilent } = JSON.parse(process.argv[2] ?? '{}') as { halfIsSilent: boolean }

const server = createServer({ keepAliveTimeout: 0 }, ({ url, socket }, response) => {
  const isOdd = Number(socket.localAddress?.at(-1)) % 2 === 1
  if (url !== '/healthz' || !halfIsSilent || !isOdd) response.end()
})
server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 }, () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`${address.port}\n`)
})
