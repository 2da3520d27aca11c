// Says in one line what became of each order.

exports.handler = async (event) => {
  for (const { eventName, dynamodb } of event.Records) {
    const order = dynamodb.Keys.orderId.S;
    const status = (image) => (image && image.status ? image.status.S : '–');
    console.log(`${eventName} ${order}: ${status(dynamodb.OldImage)} → ${status(dynamodb.NewImage)}`);
  }
  return { audited: event.Records.length };
};
