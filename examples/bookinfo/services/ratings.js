// PORT=9080 node --import inmesh/register ratings.js
import { createServer } from 'node:http'

createServer((request, response) => {
  const id = new URL(request.url, 'http://ratings').pathname.split('/').pop()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ id, ratings: { Reviewer1: 5, Reviewer2: 4 } }))
}).listen(Number(process.env.PORT ?? 9080), '127.0.0.1')
