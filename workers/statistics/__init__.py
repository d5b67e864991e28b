"""Statistics of nearest-neighbour distances and their errors. Pure: arrays in, frozen dataclasses out.

Every error is a document jackknife: both roles of a document's rows are removed, as rows whose distance is measured and
as neighbours of other rows. A value that cannot be given is None beside a reason.

documents.py            the clusters of rows, and sums over rows without each of them
estimate.py             a value with standard error and 95 % interval; jackknife and cluster errors
lists.py                lists of neighbours; the nearest rows of two documents
nearest_documents.py    these nearest rows, exact, where the lists are too short
split.py                half of the documents as queries, the other half as database
mean_and_median.py      mean, quantiles, paired differences of nested sets
dimension_lists.py      lists without duplicates; sums over rows and their lists without each document
two_nn.py               intrinsic dimension by T_2/T_1
mle.py                  by the k nearest neighbours (Levina and Bickel, MacKay and Ghahramani)
gride.py                by T_2k/T_k, over scale
intrinsic_dimension.py  all of these of one set
neighborhood.py         same document, same last token, mutual, near-duplicates, hubness
centring.py             rows about their mean, their variances and products, block by block
scale.py                total variance, participation ratio, norms; distances in these units
covariance.py           mean and shrunk covariance
null_models.py          rows that keep some of a set's structure and nothing else
null_distances.py       distances under a null model; the observed ones over them, with the null's own bias
transforms.py           unit norm, standardised, whitened, without the coordinates of largest variance
sample_size.py          disjoint subsamples; the fall of the mean with the number of rows; extrapolation
coverage.py             held-out queries against the reference's own distances
loss.py                 rank correlation of distance and loss; loss by decile
"""
