// VERSION=v2 PORT=9080 node --import inmesh/register reviews.js
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const proto = grpc.loadPackageDefinition(loadSync(new URL('ratings.proto', import.meta.url).pathname))
const ratings = new proto.bookinfo.Ratings('ratings:9080', grpc.credentials.createInsecure())
const getRatings = promisify(ratings.Get).bind(ratings)

const version = process.env.VERSION ?? 'v1'
const color = { v2: 'black', v3: 'red' }[version]

createServer(async (request, response) => {
  const id = new URL(request.url, 'http://reviews').pathname.split('/').pop()
  const page = { id, version, instance: process.env.INSTANCE, reviews: [{ reviewer: 'Reviewer1' }, { reviewer: 'Reviewer2' }] }
  try {
    if (color) {
      const { stars, ...ratedBy } = await getRatings({ id })
      for (const review of page.reviews) review.rating = { stars: stars[review.reviewer], color }
      page.ratings = { instance: ratedBy.instance, version: ratedBy.version }
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(page))
  } catch (error) {
    response.statusCode = 502
    response.end(String(error.cause ?? error))
  }
}).listen(Number(process.env.PORT ?? 9080), '127.0.0.1')
